package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
	"k8s.io/kubernetes/cmd/kube-apiserver/app/options"
)

const readyWithin = 90 * time.Second

type apiServer struct {
	url  string
	stop context.CancelFunc
	done chan error
}

func apiServerFlags(pki pki, etcdURL string) []string {
	return []string{
		"--etcd-servers=" + etcdURL,
		"--client-ca-file=" + pki.caCert,
		"--tls-cert-file=" + pki.serverCert,
		"--tls-private-key-file=" + pki.serverKey,
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + pki.serviceAccountKey,
		"--service-account-signing-key-file=" + pki.serviceAccountKey,
		"--service-cluster-ip-range=10.0.0.0/24",
		"--authorization-mode=RBAC",
		// No controller makes the `default` service accounts that this plugin asks every pod for.
		"--disable-admission-plugins=ServiceAccount",
		// The `kubernetes` service may not have an endpoint on loopback.
		"--advertise-address=127.0.0.1",
		"--endpoint-reconciler-type=none",
	}
}

// startAPIServer returns once the API server is ready; the listener is ours, so no port is lost to a race.
func startAPIServer(pki pki, etcdURL string, port int, extraFlags []string) (*apiServer, error) {
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	server := &apiServer{url: "https://" + listener.Addr().String(), stop: stop, done: make(chan error, 1)}
	opts, err := complete(ctx, listener, append(apiServerFlags(pki, etcdURL), extraFlags...))
	if err != nil {
		return nil, err
	}
	go func() { server.done <- app.Run(ctx, opts) }()
	return server, server.untilReady(pki.caCert)
}

// complete does what kube-apiserver's own command does between its flags and Run.
func complete(ctx context.Context, listener net.Listener, args []string) (options.CompletedOptions, error) {
	opts := options.NewServerRunOptions()
	flags := pflag.NewFlagSet("kube-apiserver", pflag.ContinueOnError)
	for _, set := range opts.Flags().FlagSets {
		flags.AddFlagSet(set)
	}
	if err := flags.Parse(args); err != nil {
		return options.CompletedOptions{}, err
	}
	opts.SecureServing.Listener = listener
	opts.SecureServing.BindPort = listener.Addr().(*net.TCPAddr).Port
	if err := opts.GenericServerRunOptions.ComponentGlobalsRegistry.Set(); err != nil {
		return options.CompletedOptions{}, err
	}
	completed, err := opts.Complete(ctx)
	if err != nil {
		return options.CompletedOptions{}, err
	}
	return completed, errors.Join(completed.Validate()...)
}

// untilReady asks /readyz as anybody may, once the API server has made the roles that allow it.
func (s *apiServer) untilReady(caFile string) error {
	ca, err := os.ReadFile(caFile)
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	defer transport.CloseIdleConnections()
	client := http.Client{Transport: transport, Timeout: 5 * time.Second}
	deadline := time.After(readyWithin)
	for {
		if response, err := client.Get(s.url + "/readyz"); err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case err := <-s.done:
			return fmt.Errorf("ended before it was ready: %w", err)
		case <-deadline:
			return fmt.Errorf("not ready within %s", readyWithin)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// untilEOF serves until the input ends, then stops in order.
func (s *apiServer) untilEOF(input io.Reader) error {
	ended := make(chan struct{})
	go func() {
		io.Copy(io.Discard, input)
		close(ended)
	}()
	select {
	case err := <-s.done:
		return fmt.Errorf("kube-apiserver ended by itself: %w", err)
	case <-ended:
		s.stop()
		return <-s.done
	}
}
