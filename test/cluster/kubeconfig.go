//go:build linux

package cluster

import (
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// config is a client configuration for a certificate, without a limit on its rate. It holds the certificate itself:
// for one in files client-go keeps goroutines that re-read them.
func (c *Cluster) config(agent string, pair keyPair) *rest.Config {
	return &rest.Config{
		Host:      c.URL(),
		UserAgent: agent,
		QPS:       -1,
		TLSClientConfig: rest.TLSClientConfig{
			CAFile: c.authority.file, CertData: pair.cert, KeyData: pair.key,
		},
	}
}

// Kubeconfig writes a kubeconfig file for a user who shows a client certificate, and returns its path. The group
// "system:masters" may do everything.
func (c *Cluster) Kubeconfig(t testing.TB, user string, groups ...string) string {
	t.Helper()
	path, err := c.kubeconfig(user, groups...)
	if err != nil {
		t.Fatalf("write kubeconfig of %s: %v", user, err)
	}
	return path
}

func (c *Cluster) kubeconfig(user string, groups ...string) (string, error) {
	name := "user-" + fileName(user)
	pair, err := c.authority.issue(name, pkix.Name{CommonName: user, Organization: groups})
	if err != nil {
		return "", err
	}
	return c.writeKubeconfig(name, &clientcmdapi.AuthInfo{ClientCertificateData: pair.cert, ClientKeyData: pair.key})
}

// ServiceAccountKubeconfig makes a ServiceAccount, and its Namespace, where they are missing, writes a token of it
// to a file and a kubeconfig that names that file, and returns the kubeconfig's path. A client re-reads the token
// from its file, as inside a cluster.
func (c *Cluster) ServiceAccountKubeconfig(t testing.TB, namespace, name string) string {
	t.Helper()
	token := c.file(fileName("token-" + namespace + "-" + name))
	if err := os.WriteFile(token, []byte(c.ServiceAccountToken(t, namespace, name)), 0o600); err != nil {
		t.Fatalf("write token of %s/%s: %v", namespace, name, err)
	}
	path, err := c.writeKubeconfig(fileName("sa-"+namespace+"-"+name), &clientcmdapi.AuthInfo{TokenFile: token})
	if err != nil {
		t.Fatalf("write kubeconfig of %s/%s: %v", namespace, name, err)
	}
	return path
}

// ServiceAccountToken makes a ServiceAccount, and its Namespace, where they are missing, and requests a token of
// it from the API server, good for a day.
func (c *Cluster) ServiceAccountToken(t testing.TB, namespace, name string) string {
	t.Helper()
	token, err := c.serviceAccountToken(namespace, name)
	if err != nil {
		t.Fatalf("request token of %s/%s: %v", namespace, name, err)
	}
	return token
}

func (c *Cluster) serviceAccountToken(namespace, name string) (string, error) {
	ctx, cancel := callContext()
	defer cancel()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
	_, err := c.client.CoreV1().Namespaces().Create(ctx, ns, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return "", fmt.Errorf("create namespace: %w", err)
	}
	accounts := c.client.CoreV1().ServiceAccounts(namespace)
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}}
	_, err = accounts.Create(ctx, account, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return "", fmt.Errorf("create service account: %w", err)
	}
	seconds := int64((24 * time.Hour).Seconds())
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &seconds}}
	answer, err := accounts.CreateToken(ctx, name, request, metav1.CreateOptions{})
	if err != nil {
		return "", fmt.Errorf("create token: %w", err)
	}
	if answer.Status.Token == "" {
		return "", errors.New("create token: empty answer")
	}
	return answer.Status.Token, nil
}

// LoadKubeconfig turns a kubeconfig file into a client configuration, without a limit on its rate.
func LoadKubeconfig(t testing.TB, path string) *rest.Config {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", path)
	if err != nil {
		t.Fatalf("load kubeconfig: %v", err)
	}
	config.QPS = -1
	return config
}

func (c *Cluster) writeKubeconfig(name string, user *clientcmdapi.AuthInfo) (string, error) {
	config := clientcmdapi.NewConfig()
	config.Clusters["test"] = &clientcmdapi.Cluster{Server: c.URL(), CertificateAuthority: c.authority.file}
	config.AuthInfos["test"] = user
	config.Contexts["test"] = &clientcmdapi.Context{Cluster: "test", AuthInfo: "test"}
	config.CurrentContext = "test"
	path := filepath.Join(c.dir, name+".kubeconfig")
	return path, clientcmd.WriteToFile(*config, path)
}

// fileName takes the characters out of a name that a path gives a meaning to.
func fileName(name string) string { return strings.NewReplacer("/", "-", ":", "-").Replace(name) }
