"""Makes what the chart and the manifests for kustomize have from elsewhere in the repository."""
