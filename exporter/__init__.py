"""Prometheus exporter for Viam bills."""
