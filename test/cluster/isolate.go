//go:build linux

package cluster

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

// isolatedEnv marks the process that Main started in namespaces of its own.
const isolatedEnv = "PROMRELAY_TEST_ISOLATED"

// podNetwork is on the loopback device of the network namespace; the range is set aside for tests of network
// devices (RFC 2544). The API server refuses loopback addresses in EndpointSlices, so targets need others.
var podNetwork = struct{ address, mask net.IP }{net.IPv4(198, 18, 0, 1).To4(), net.IPv4(255, 254, 0, 0).To4()}

// podAddresses is how many addresses PodIP gives out.
const podAddresses = 100_000

// Main runs a package's tests; its TestMain calls it. It compiles the servers and the further binaries before the
// test's clock starts. As root it then runs the tests in a network and a mount namespace of their own: nothing there
// reaches the machine's network, PodIP has addresses, and what a kubelet does to the machine's kernel settings and
// to /var/lib/kubelet stays inside. Where that is not allowed the tests run as they are, and those that need the
// namespaces skip. A test that leaves goroutines behind fails the run.
func Main(m *testing.M, binaries ...Binary) {
	code, err := runMain(m, binaries)
	if err != nil {
		fmt.Fprintln(os.Stderr, "cluster.Main:", err)
		code = 1
	}
	os.Exit(code)
}

func runMain(m *testing.M, binaries []Binary) (int, error) {
	if isolated() {
		if err := prepareNamespaces(); err != nil {
			return 1, err
		}
		return runTests(m)
	}
	if err := errors.Join(buildServers(), build(binaries)); err != nil {
		return 1, err
	}
	if _, err := operatorDir(); err != nil { // while there is a network to fetch it over
		return 1, err
	}
	if os.Geteuid() != 0 {
		return runTests(m)
	}
	code, err := runIsolated()
	if errors.Is(err, syscall.EPERM) { // root of a container that may not make namespaces
		return runTests(m)
	}
	return code, err
}

func runTests(m *testing.M) (int, error) {
	code := m.Run()
	if code != 0 {
		return code, nil
	}
	return 0, goleak.Find()
}

// runIsolated runs this program again, with its arguments, in new namespaces.
func runIsolated() (int, error) {
	runtime.LockOSThread() // the child dies with the thread that started it
	defer runtime.UnlockOSThread()
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), isolatedEnv+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Pdeathsig:    syscall.SIGKILL,
		Unshareflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS,
	}
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Exited() {
		return exit.ExitCode(), nil
	}
	return 0, err
}

func isolated() bool { return os.Getenv(isolatedEnv) == "1" }

func prepareNamespaces() error {
	if err := prepareLoopback(); err != nil {
		return fmt.Errorf("set up loopback device: %w", err)
	}
	return hideKubeletTraces()
}

// prepareLoopback brings the loopback device up and gives it the Pod network, all of whose addresses are then the machine's.
func prepareLoopback() error {
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(socket) }()
	up, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	up.SetUint16(unix.IFF_UP)
	if err := unix.IoctlIfreq(socket, unix.SIOCSIFFLAGS, up); err != nil {
		return fmt.Errorf("bring it up: %w", err)
	}
	pods, err := unix.NewIfreq("lo:pods") // an alias, so that 127.0.0.1 stays
	if err != nil {
		return err
	}
	if err := errors.Join(
		pods.SetInet4Addr(podNetwork.address), unix.IoctlIfreq(socket, unix.SIOCSIFADDR, pods),
		pods.SetInet4Addr(podNetwork.mask), unix.IoctlIfreq(socket, unix.SIOCSIFNETMASK, pods),
	); err != nil {
		return fmt.Errorf("add Pod network: %w", err)
	}
	return nil
}

// hideKubeletTraces covers what a kubelet writes outside of the directories that it is given, so that the machine
// keeps its own: two directories, and the kernel settings that it forces. The mounts end with the namespace.
func hideKubeletTraces() error {
	for _, dir := range []string{"/var/lib/kubelet", "/var/log/containers"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, ""); err != nil {
			return fmt.Errorf("cover %s: %w", dir, err)
		}
	}
	for _, setting := range []string{
		"vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops",
		"kernel/keys/root_maxkeys", "kernel/keys/root_maxbytes",
	} {
		if err := coverSetting(filepath.Join("/proc/sys", setting)); err != nil {
			return fmt.Errorf("cover %s: %w", setting, err)
		}
	}
	return nil
}

// coverSetting puts a file with the setting's value over it. The file lives in one of the directories above.
func coverSetting(path string) error {
	value, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	cover, err := os.CreateTemp("/var/lib/kubelet", "setting-")
	if err != nil {
		return err
	}
	_, err = cover.Write(value)
	if err := errors.Join(err, cover.Close()); err != nil {
		return err
	}
	return syscall.Mount(cover.Name(), path, "", syscall.MS_BIND, "")
}

// PodIP gives the n-th address of the Pod network, from 0 to 99,999. All of them are this machine's and need no
// setting up: listen on one, and put it into an EndpointSlice. Without the namespaces of Main the test is skipped.
func PodIP(t testing.TB, n int) string {
	t.Helper()
	if !isolated() {
		skip(t, "Pod addresses need root and the namespaces of cluster.Main")
	}
	if n < 0 || n >= podAddresses {
		t.Fatalf("Pod address %d: there are %d", n, podAddresses)
	}
	n += 256 // leave out the device's own address and its neighbours
	return net.IPv4(198, 18+byte(n>>16), byte(n>>8), byte(n)).String()
}

// skip skips a test that cannot run here, or fails it where PROMRELAY_NO_SKIP=1 says that everything must run.
func skip(t testing.TB, reason string) {
	t.Helper()
	if os.Getenv("PROMRELAY_NO_SKIP") == "1" {
		t.Fatalf("PROMRELAY_NO_SKIP is set: %s", reason)
	}
	t.Skip(reason)
}
