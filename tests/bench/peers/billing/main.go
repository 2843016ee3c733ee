// A billing server for benchmarks: it answers with bytes that were prepared, so that what it
// costs is small beside what its clients cost.
//
// Built without modules or generated code: messages are passed through as bytes.
package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"math"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/status"
)

var (
	file        = flag.String("data", "", "file of answers, as bench/data.py writes it")
	certificate = flag.String("certificate", "", "file to serve TLS with; without it, plaintext")
	key         = flag.String("key", "", "file of the certificate's key")
	latency     = flag.Duration("latency", 0, "time before each answer")
	streams     = flag.Uint("streams", 100_000, "calls in flight on one connection")
	changing    = flag.Int("changing", 0, "percent of the organizations whose answers change with each call")
	failing     = flag.Int("failing", 0, "percent of the organizations whose calls fail")
	hanging     = flag.Int("hanging", 0, "percent of the organizations whose calls are never answered")
)

// raw passes bytes through, in the place of the codec for messages.
type raw struct{}

func (raw) Marshal(message interface{}) ([]byte, error) { return message.([]byte), nil }

func (raw) Unmarshal(data []byte, message interface{}) error {
	*message.(*[]byte) = data
	return nil
}

func (raw) Name() string { return "proto" }

// answer is a prepared message, and where in it amounts stand that change together.
type answer struct {
	bytes   []byte
	amounts []uint32
}

// organization has its answers in the order of the methods below.
type organization struct {
	answers [3]answer
	changes bool
	fails   bool
	hangs   bool
	cents   int64 // added to the amounts
	bumped  chan bump
}

// bump is the first answer that was sent after an amount was changed on request.
type bump struct {
	Sent  int64 // Unix nanoseconds
	Cents int64
}

type server struct {
	token         []byte
	organizations map[string]*organization
	mutex         sync.Mutex
	connections   int64
	requests      int64
	first, last   int64 // Unix nanoseconds
}

func (s *server) count() {
	now := time.Now().UnixNano()
	atomic.CompareAndSwapInt64(&s.first, 0, now)
	atomic.StoreInt64(&s.last, now)
	atomic.AddInt64(&s.requests, 1)
}

func (s *server) authenticate(context.Context, []byte) ([]byte, error) { return s.token, nil }

// read answers for the organization that a request names in its only field.
func (s *server) read(method int) func(context.Context, []byte) ([]byte, error) {
	return func(call context.Context, request []byte) ([]byte, error) {
		s.count()
		found := s.organizations[string(request[2:])]
		switch {
		case found == nil:
			return nil, status.Error(codes.NotFound, "no such organization")
		case found.fails:
			return nil, status.Error(codes.Unavailable, "fails on purpose")
		case found.hangs:
			<-call.Done()
			return nil, call.Err()
		}
		if *latency > 0 {
			time.Sleep(*latency)
		}
		return found.answer(method), nil
	}
}

func (o *organization) answer(method int) []byte {
	cents := atomic.LoadInt64(&o.cents)
	prepared := &o.answers[method]
	if len(prepared.amounts) == 0 {
		return prepared.bytes
	}
	if o.changes {
		cents = atomic.AddInt64(&o.cents, 1)
	}
	if cents == 0 {
		return prepared.bytes
	}
	changed := append([]byte(nil), prepared.bytes...)
	for _, at := range prepared.amounts {
		bits := binary.LittleEndian.Uint64(changed[at:])
		amount := math.Float64frombits(bits) + float64(cents)/100
		binary.LittleEndian.PutUint64(changed[at:], math.Float64bits(math.Round(amount*100)/100))
	}
	if method == 0 {
		select {
		case o.bumped <- bump{time.Now().UnixNano(), cents}:
		default:
		}
	}
	return changed
}

// stats tells how many connections there were, how many reads were asked for, and when the first
// and the last of them.
func (s *server) stats(w http.ResponseWriter, _ *http.Request) {
	json.NewEncoder(w).Encode(map[string]int64{
		"connections": atomic.LoadInt64(&s.connections),
		"requests":    atomic.LoadInt64(&s.requests),
		"first":       atomic.LoadInt64(&s.first),
		"last":        atomic.LoadInt64(&s.last),
	})
}

// bump changes the amounts of an organization, and returns when an answer has said so.
func (s *server) bump(w http.ResponseWriter, r *http.Request) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	found := s.organizations[r.URL.Query().Get("organization")]
	wanted := atomic.AddInt64(&found.cents, 100)
	sent := <-found.bumped
	for sent.Cents < wanted {
		sent = <-found.bumped
	}
	json.NewEncoder(w).Encode(sent)
}

func load(path string) *server {
	content, err := os.ReadFile(path)
	if err != nil {
		log.Fatal(err)
	}
	next := func() []byte {
		size := binary.LittleEndian.Uint32(content)
		block := content[4 : 4+size : 4+size]
		content = content[4+size:]
		return block
	}
	s := &server{token: next(), organizations: map[string]*organization{}}
	for index := 0; len(content) > 0; index++ {
		percentile := index % 100
		found := &organization{
			fails:   percentile < *failing,
			hangs:   percentile >= *failing && percentile < *failing+*hanging,
			changes: percentile >= 100-*changing,
			bumped:  make(chan bump),
		}
		s.organizations[string(next())] = found
		for method := range found.answers {
			prepared := answer{bytes: next()}
			for amounts := next(); len(amounts) > 0; amounts = amounts[4:] {
				prepared.amounts = append(prepared.amounts, binary.LittleEndian.Uint32(amounts))
			}
			found.answers[method] = prepared
		}
	}
	return s
}

func unary(name string, answer func(context.Context, []byte) ([]byte, error)) grpc.MethodDesc {
	return grpc.MethodDesc{
		MethodName: name,
		Handler: func(_ interface{}, call context.Context, decode func(interface{}) error, _ grpc.UnaryServerInterceptor) (interface{}, error) {
			var request []byte
			if err := decode(&request); err != nil {
				return nil, err
			}
			return answer(call, request)
		},
	}
}

// counted counts the connections that it accepts.
type counted struct {
	net.Listener
	connections *int64
}

func (l counted) Accept() (net.Conn, error) {
	connection, err := l.Listener.Accept()
	if err == nil {
		atomic.AddInt64(l.connections, 1)
	}
	return connection, err
}

func options() []grpc.ServerOption {
	chosen := []grpc.ServerOption{grpc.MaxConcurrentStreams(uint32(*streams))}
	if *certificate != "" {
		pair, err := credentials.NewServerTLSFromFile(*certificate, *key)
		if err != nil {
			log.Fatal(err)
		}
		chosen = append(chosen, grpc.Creds(pair))
	}
	return chosen
}

func listen() net.Listener {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	return listener
}

func main() {
	flag.Parse()
	encoding.RegisterCodec(raw{})
	s := load(*file)
	calls := grpc.NewServer(options()...)
	calls.RegisterService(&grpc.ServiceDesc{
		ServiceName: "proto.rpc.v1.AuthService",
		HandlerType: (*interface{})(nil),
		Methods:     []grpc.MethodDesc{unary("Authenticate", s.authenticate)},
	}, s)
	calls.RegisterService(&grpc.ServiceDesc{
		ServiceName: "viam.app.v1.BillingService",
		HandlerType: (*interface{})(nil),
		Methods: []grpc.MethodDesc{
			unary("GetCurrentMonthUsage", s.read(0)),
			unary("GetOrgBillingInformation", s.read(1)),
			unary("GetInvoicesSummary", s.read(2)),
		},
	}, s)
	http.HandleFunc("/stats", s.stats)
	http.HandleFunc("/bump", s.bump)

	api, control := listen(), listen()
	go func() { log.Fatal(calls.Serve(counted{api, &s.connections})) }()
	go func() { log.Fatal(http.Serve(control, nil)) }()
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	fmt.Printf("api %d control %d\n", api.Addr().(*net.TCPAddr).Port, control.Addr().(*net.TCPAddr).Port)
	<-stop
}
