// Envtest is a Kubernetes control plane in one process, for tests: etcd and kube-apiserver as libraries.
//
//	envtest -data DIR [-port N] [-- kube-apiserver flags]
//
// Once the API server is ready it prints one line of JSON (see endpoint) and serves until its standard
// input ends, so that it never outlives the test run that started it. Keys, certificates and data stay in
// DIR: started again there, with the port it had, it is the same cluster after an outage.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/storage/mvcc"
)

// endpoint tells the starter where everything is.
type endpoint struct {
	URL       string `json:"url"`
	Control   string `json:"control"` // POST Control/compact answers with the revision
	CAFile    string `json:"caFile"`
	AdminCert string `json:"adminCertFile"` // a member of system:masters
	AdminKey  string `json:"adminKeyFile"`
}

func main() {
	flags := flag.NewFlagSet("envtest", flag.ExitOnError)
	data := flags.String("data", "", "directory of keys, certificates and etcd's data")
	port := flags.Int("port", 0, "port of the API server on 127.0.0.1; 0 takes a free one")
	flags.Parse(os.Args[1:])
	if err := run(*data, *port, flags.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "envtest:", err)
		os.Exit(1)
	}
}

func run(data string, port int, extraFlags []string) error {
	if !filepath.IsAbs(data) {
		return fmt.Errorf("-data must be an absolute path, not %q", data)
	}
	pki := newPKI(data)
	if err := pki.ensure(); err != nil {
		return fmt.Errorf("certificates: %w", err)
	}
	etcd, err := startEtcd(data)
	if err != nil {
		return fmt.Errorf("etcd: %w", err)
	}
	defer etcd.Close()
	server, err := startAPIServer(pki, etcd.Config().ListenClientUrls[0].String(), port, extraFlags)
	if err != nil {
		return fmt.Errorf("kube-apiserver: %w", err)
	}
	control, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go http.Serve(control, controls(etcd))
	json.NewEncoder(os.Stdout).Encode(endpoint{
		URL:       server.url,
		Control:   "http://" + control.Addr().String(),
		CAFile:    pki.caCert,
		AdminCert: pki.adminCert,
		AdminKey:  pki.adminKey,
	})
	return server.untilEOF(os.Stdin)
}

// startEtcd serves on a unix socket alone; without fsync, which only a crash of the machine would miss.
func startEtcd(data string) (*embed.Etcd, error) {
	config := embed.NewConfig()
	config.Dir = filepath.Join(data, "etcd")
	config.LogLevel = "error"
	config.UnsafeNoFsync = true
	config.TickMs, config.ElectionMs = 10, 100
	config.ListenClientUrls = socket(data, "client")
	config.AdvertiseClientUrls = config.ListenClientUrls
	config.ListenPeerUrls = socket(data, "peer")
	config.AdvertisePeerUrls = config.ListenPeerUrls
	config.InitialCluster = config.InitialClusterFromName(config.Name)
	etcd, err := embed.StartEtcd(config)
	if err != nil {
		return nil, err
	}
	select {
	case <-etcd.Server.ReadyNotify():
		return etcd, nil
	case err := <-etcd.Err():
		etcd.Close()
		return nil, err
	}
}

// controls is what a test does to the cluster that no API of it offers.
func controls(etcd *embed.Etcd) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /compact", func(w http.ResponseWriter, r *http.Request) {
		revision, err := compact(r.Context(), etcd)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		fmt.Fprint(w, revision)
	})
	return mux
}

// compact forgets every version before the present one, which it returns.
func compact(ctx context.Context, etcd *embed.Etcd) (int64, error) {
	revision := etcd.Server.KV().Rev()
	_, err := etcd.Server.Compact(ctx, &pb.CompactionRequest{Revision: revision, Physical: true})
	if errors.Is(err, mvcc.ErrCompacted) { // nothing was written since the last time
		err = nil
	}
	return revision, err
}

func socket(data, name string) []url.URL {
	return []url.URL{{Scheme: "unix", Path: filepath.Join(data, name+".sock")}}
}
