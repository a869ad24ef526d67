package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"net"
	"os"
	"path/filepath"
	"time"
)

// pki names the files of the cluster's keys and certificates. The CA's own key is never written.
type pki struct {
	caCert, serverCert, serverKey, adminCert, adminKey, serviceAccountKey string
}

func newPKI(data string) pki {
	file := func(name string) string { return filepath.Join(data, "pki", name) }
	return pki{
		caCert:            file("ca.crt"),
		serverCert:        file("apiserver.crt"),
		serverKey:         file("apiserver.key"),
		adminCert:         file("admin.crt"),
		adminKey:          file("admin.key"),
		serviceAccountKey: file("service-account.key"),
	}
}

// ensure makes the files, unless an earlier start did: to its clients it has to be the same cluster.
func (p pki) ensure() error {
	if _, err := os.Stat(p.serviceAccountKey); err == nil { // the one that is written last
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(p.caCert), 0o700); err != nil {
		return err
	}
	ca, err := newAuthority(p.caCert)
	if err != nil {
		return err
	}
	server := template("kube-apiserver", x509.ExtKeyUsageServerAuth)
	server.DNSNames, server.IPAddresses = []string{"localhost"}, []net.IP{net.IPv4(127, 0, 0, 1)}
	admin := template("admin", x509.ExtKeyUsageClientAuth)
	admin.Subject.Organization = []string{"system:masters"}
	if err := errors.Join(ca.issue(server, p.serverCert, p.serverKey), ca.issue(admin, p.adminCert, p.adminKey)); err != nil {
		return err
	}
	_, err = newKey(p.serviceAccountKey)
	return err
}

type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(certFile string) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	root := template("envtest-ca")
	root.IsCA, root.BasicConstraintsValid = true, true
	root.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign // strict clients (Python 3.13+) ask for it
	der, err := x509.CreateCertificate(rand.Reader, root, root, key.Public(), key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der) // now with its key id, which the leaves have to name
	if err != nil {
		return nil, err
	}
	return &authority{cert, key}, writePEM(certFile, "CERTIFICATE", der)
}

func (ca *authority) issue(leaf *x509.Certificate, certFile, keyFile string) error {
	key, err := newKey(keyFile)
	if err != nil {
		return err
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, ca.cert, key.Public(), ca.key)
	if err != nil {
		return err
	}
	return writePEM(certFile, "CERTIFICATE", der)
}

func template(commonName string, usages ...x509.ExtKeyUsage) *x509.Certificate {
	return &x509.Certificate{
		Subject:     pkix.Name{CommonName: commonName},
		NotBefore:   time.Now().Add(-time.Minute),
		NotAfter:    time.Now().Add(24 * time.Hour),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: usages,
	}
}

func newKey(file string) (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	return key, writePEM(file, "EC PRIVATE KEY", der)
}

func writePEM(file, kind string, der []byte) error {
	return os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}
