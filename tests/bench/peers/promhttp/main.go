// The series of a page, served with the client library for Go: a collector of constant metrics.
package main

import (
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
)

type sample struct {
	value  float64
	labels []string
}

type family struct {
	description *prometheus.Desc
	kind        prometheus.ValueType
	samples     []sample
}

type collector []family

func (collector) Describe(chan<- *prometheus.Desc) {}

func (c collector) Collect(metrics chan<- prometheus.Metric) {
	for _, family := range c {
		for _, each := range family.samples {
			metrics <- prometheus.MustNewConstMetric(family.description, family.kind, each.value, each.labels...)
		}
	}
}

func read(path string) collector {
	page, err := os.Open(path)
	if err != nil {
		log.Fatal(err)
	}
	defer page.Close()
	var parser expfmt.TextParser
	parsed, err := parser.TextToMetricFamilies(page)
	if err != nil {
		log.Fatal(err)
	}
	var families collector
	for name, each := range parsed {
		var names []string
		for _, label := range each.Metric[0].Label {
			names = append(names, label.GetName())
		}
		kind := prometheus.GaugeValue
		if each.GetType() == dto.MetricType_COUNTER {
			kind = prometheus.CounterValue
		}
		made := family{description: prometheus.NewDesc(name, each.GetHelp(), names, nil), kind: kind}
		for _, metric := range each.Metric {
			var values []string
			for _, label := range metric.Label {
				values = append(values, label.GetValue())
			}
			value := metric.GetGauge().GetValue() + metric.GetCounter().GetValue()
			made.samples = append(made.samples, sample{value, values})
		}
		families = append(families, made)
	}
	return families
}

func main() {
	page := flag.String("page", "", "a page in text format, of gauges and counters")
	flag.Parse()
	registry := prometheus.NewRegistry()
	registry.MustRegister(read(*page))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	http.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{EnableOpenMetrics: true}))
	go func() { log.Fatal(http.Serve(listener, nil)) }()
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	fmt.Printf("port %d\n", listener.Addr().(*net.TCPAddr).Port)
	<-stop
}
