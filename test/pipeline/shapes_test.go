package pipeline

import (
	"fmt"
	"maps"
	"math"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	fake "promrelay/test/receiver"
)

const (
	largeSeries = 200_000
	largeChurn  = 100 // one of so many series is another one on the next page
)

// generation is which of its series slot i shows on a page: it changes on every largeChurn-th page.
func generation(i, page int) int { return (page + i%largeChurn) / largeChurn }

func largeValue(i, page int) float64 { return float64(page)*1e6 + float64(i)/8 }

// TestLargeTarget scrapes 200,000 series of which 1 % change from each page to the next.
func TestLargeTarget(t *testing.T) {
	long(t)
	r := newReceiver(t)
	var buf []byte
	e := newExporter(t, func(page int, _ time.Time) pageText {
		buf = (&line{name: pageSeries, value: float64(page)}).append(buf[:0])
		for i := range largeSeries {
			if i%4000 == 0 {
				buf = fmt.Appendf(buf, "# HELP large_%d_total A counter.\n# TYPE large_%d_total counter\n", i/4000, i/4000)
			}
			buf = fmt.Appendf(buf, `large_%d_total{namespace="shop",pod="checkout-%d-%d",container="app",code="200"} `, i/4000, i, generation(i, page))
			buf = append(strconv.AppendFloat(buf, largeValue(i, page), 'g', -1, 64), '\n')
		}
		return pageText{body: buf}
	})
	relay := startRelay(t, "global: {scrape_interval: 5s}\nscrape_configs:\n"+staticJob("large", e)+"remote_write:\n"+destination("r", r, 0))
	for n := range 6 {
		e.awaitPages(t, n+1)
		now, most := memory(t, relay)
		t.Logf("page %d: resident %d MB, at most %d MB, %v samples behind", n+1, now, most, metric(t, relay, "promrelay_relay_behind_samples"))
	}
	if _, most := memory(t, relay); most > 500 {
		t.Errorf("the relay took %d MB", most)
	}
	time.Sleep(2500 * time.Millisecond) // the page is read, and the next one is not asked for
	for _, m := range []string{"promrelay_scrape_dropped_samples_total", "promrelay_relay_dropped_samples_total"} {
		if n := metric(t, relay, m); n > 0 {
			t.Errorf("%s: %v", m, n)
		}
	}
	pages := len(e.asked())
	stop(t, relay)
	now := time.Now()
	series, samples, _, _ := r.totals()
	t.Logf("%d series, %d samples of %d pages, counted in %s", series, samples, pages, time.Since(now).Round(time.Millisecond))
	r.sound(t)
	if n := e.whole(time.Now()); len(n) != pages {
		t.Fatalf("%d of %d pages were served whole", len(n), pages)
	}
	checkLarge(t, r, e, pages)
}

// checkLarge compares what came with what the pages held.
func checkLarge(t *testing.T, r *receiver, e *exporter, pages int) {
	t.Helper()
	have := r.Select("instance", e.address)
	stamps := make([]int64, pages+1)
	for _, s := range have {
		if s.Labels.Get("__name__") == pageSeries {
			for _, one := range s.Samples {
				stamps[int(one.Value)] = one.Time
			}
		}
	}
	want := 0
	for i := range largeSeries {
		want += generation(i, pages) - generation(i, 1) + 1
	}
	large := 0
	for _, s := range have {
		var i, gen int
		if _, err := fmt.Sscanf(s.Labels.Get("pod"), "checkout-%d-%d", &i, &gen); err != nil {
			continue
		}
		large++
		var w []fake.Sample
		for page := 1; page <= pages; page++ {
			switch {
			case generation(i, page) == gen:
				w = append(w, fake.Sample{Time: stamps[page], Value: largeValue(i, page)})
			case page > 1 && generation(i, page-1) == gen:
				w = append(w, staleAt(stamps[page]))
			}
		}
		if !slices.EqualFunc(w, s.Samples, fake.Sample.Equal) {
			t.Errorf("%v: have %v, want %v", s.Labels, s.Samples, w)
			return
		}
	}
	if large != want {
		t.Errorf("%d series came, want %d", large, want)
	}
	if all := want + 1 + len(reportNames); len(have) != all {
		t.Errorf("%d series came with report series, want %d", len(have), all)
	}
}

// service are the manifests of a Service with one endpoint.
func service(name string, e *exporter) string {
	host, port, _ := net.SplitHostPort(e.address)
	return fmt.Sprintf(`
apiVersion: v1
kind: Service
metadata: {name: %[1]s, namespace: shop, labels: {app: %[1]s}}
spec: {ports: [{name: metrics, port: 80}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: %[1]s-1, namespace: shop, labels: {kubernetes.io/service-name: %[1]s, app: %[1]s}}
addressType: IPv4
ports: [{name: metrics, port: %[3]s, protocol: TCP}]
endpoints:
- addresses: ['%[2]s']
  conditions: {ready: true, serving: true, terminating: false}
---`, name, host, port)
}

// monitor is a ServiceMonitor of such a Service.
func monitor(name, app string, endpoint ...string) string {
	return fmt.Sprintf(`
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata: {name: %s, namespace: shop}
spec:
  selector: {matchLabels: {app: %s}}
  endpoints:
  - port: metrics
    honorLabels: true
    %s
---`, name, app, strings.Join(endpoint, "\n    "))
}

// TestOneService has three monitors scrape one Service, so that equal series come from three targets. Some pages are slow, so that
// those of other targets overtake them, and some series bear timestamps, which are equal on the pages of one second. Receivers
// that refuse what is out of order never have to.
func TestOneService(t *testing.T) {
	t.Parallel()
	receivers := map[int]*receiver{1: newReceiver(t), 2: newReceiver(t)}
	for _, r := range receivers {
		r.does(fake.Accept(fake.InOrder()), fake.Atomically())
	}
	const series = 50
	e := newExporter(t, func(page int, at time.Time) pageText {
		if page%4 == 0 {
			time.Sleep(700 * time.Millisecond)
		}
		lines := make([]line, series, series+1)
		for i := range lines {
			ls := []string{"i", strconv.Itoa(i)}
			if i%2 == 0 { // honorLabels
				ls = append(ls, "namespace", "other", "job", "its own")
			}
			lines[i] = line{name: "shared_total", labels: ls, value: plainValue(page, i)}
		}
		second := at.Truncate(time.Second)
		return pageText{lines: append(lines, line{name: "stamped", value: float64(second.Unix()), ms: second.UnixMilli()})}
	})
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "manifests", "all.yaml"), service("checkout", e)+
		monitor("a", "checkout")+monitor("b", "checkout")+monitor("c", "checkout", "params: {who: [c]}"))
	relay := startRelayIn(t, dir, "global: {scrape_interval: 1s}\nmonitors: {scrapeInterval: 1s}\nmanifests: {directory: manifests}\nremote_write:\n"+
		destination("one", receivers[1], 1)+destination("two", receivers[2], 2))
	e.awaitPages(t, 20)
	// One of them goes: its staleness markers are not to end series that the others still give.
	writeFile(t, filepath.Join(dir, "manifests", "all.yaml"), service("checkout", e)+monitor("a", "checkout")+monitor("c", "checkout", "params: {who: [c]}"))
	await(t, 20*time.Second, "two targets", func() error {
		if n := metric(t, relay, "promrelay_scrape_targets"); n != 2 {
			return fmt.Errorf("have %v", n)
		}
		return nil
	})
	e.awaitPages(t, len(e.asked())+12)
	reason := func(words ...string) float64 {
		return metric(t, relay, "promrelay_scrape_dropped_samples_total", words...)
	}
	dropped, repeated := reason(`"out_of_order"`), reason(`"repeated"`)
	// How many depends on which target comes first in its second. Of three at most one is never overtaken.
	if dropped < 2*series || dropped+repeated != reason() {
		t.Errorf("%v samples dropped as out of order, %v as repeated, %v in all; a slow page is overtaken by one or two", dropped, repeated, reason())
	}
	if n := metric(t, relay, "promrelay_relay_dropped_samples_total"); n != 0 {
		t.Errorf("promrelay_relay_dropped_samples_total is %v", n)
	}
	pages := len(e.asked())
	stop(t, relay)
	t.Logf("%d pages, %v samples out of order dropped, %v repeated", pages, dropped, repeated)
	for version, r := range receivers {
		r.sound(t)
		for _, x := range r.Requests() {
			if x.Status/100 != 2 {
				t.Errorf("remote write %d: request %d was answered with %d %s", version, x.Number, x.Status, x.Text)
			}
		}
		checkShared(t, r, e, series)
	}
	compare(t, receivers[1].of(nil), receivers[2].of(nil), fake.Sample.Equal)
}

// checkShared demands of each series that its samples are those of pages that were served then, a page a timestamp.
func checkShared(t *testing.T, r *receiver, e *exporter, series int) {
	t.Helper()
	have := r.Select("__name__", "shared_total")
	if len(have) != series {
		t.Errorf("%d series, want %d", len(have), series)
	}
	pages, most, least := e.asked(), 0, math.MaxInt
	for _, s := range have {
		i, _ := strconv.Atoi(s.Labels.Get("i"))
		most, least = max(most, len(s.Samples)), min(least, len(s.Samples))
		for _, one := range s.Samples {
			n := int(math.Round(one.Value - float64(i)/7))
			if one.Stale() || n < 1 || n > len(pages) || one.Value != plainValue(n, i) {
				t.Errorf("%v: %v was not served", s.Labels, one)
				break
			}
			if off := pages[n-1].began.UnixMilli() - one.Time; off < 0 || off > 500 {
				t.Errorf("%v: %v is from %d ms before the page", s.Labels, one, off)
			}
		}
	}
	if whole := len(pages); most > whole-2 || least < whole/2 {
		t.Errorf("series have %d to %d samples of %d pages, of which every fourth is overtaken", least, most, whole)
	}
	for _, s := range r.Select("__name__", "stamped") {
		for _, one := range s.Samples {
			if one.Value*1000 != float64(one.Time) {
				t.Errorf("%v: %v was not served", s.Labels, one)
			}
		}
		if seconds := int(pages[len(pages)-1].began.Sub(pages[0].began) / time.Second); len(s.Samples) < seconds-1 || len(s.Samples) > seconds+2 {
			t.Errorf("%v: %d samples in %d s", s.Labels, len(s.Samples), seconds)
		}
	}
}

// TestThreeDestinations has three destinations with relabelling of their own. One of them refuses connections all the time,
// and one is slow: that costs the others nothing.
func TestThreeDestinations(t *testing.T) {
	t.Parallel()
	all, some, dead := newReceiver(t), newReceiver(t), newDeadReceiver(t)
	var es []*exporter
	for i := range 4 {
		es = append(es, newExporter(t, func(page int, _ time.Time) pageText {
			lines := plain("kept", 100)(page, time.Time{}).lines
			lines = append(lines, plain("dropped", 100)(page, time.Time{}).lines...)
			return pageText{lines: append(lines, line{name: "flips", labels: []string{"i", strconv.Itoa(i), "page", strconv.Itoa(page % 3)}, value: float64(page)})}
		}))
	}
	quick := "queue_config: {batch_send_deadline: 500ms}"
	relay := startRelay(t, "global: {scrape_interval: 1s, external_labels: {cluster: c1, zone: z}}\nscrape_configs:\n"+staticJob("three", es...)+"remote_write:\n"+
		destination("dead", dead, 0, quick)+
		destination("all", all, 2, quick, "write_relabel_configs: [{action: labeldrop, regex: zone}]")+
		destination("some", some, 1, quick, `write_relabel_configs:
  - {action: drop, source_labels: [__name__], regex: dropped_total}
  - {source_labels: [cluster, i], regex: '(.*);(.*)', separator: ';', target_label: both, replacement: '$1-$2'}
  - {action: keep, source_labels: [page], regex: '|0|1'}`))
	for _, e := range es {
		e.awaitPages(t, 15)
	}
	lag := time.Duration(0)
	for _, r := range []*receiver{all, some} {
		requests := r.Requests()
		for name, entries := range r.Entries() {
			for _, e := range entries {
				if strings.Contains(name, pageSeries) && e.Taken > 0 {
					lag = max(lag, requests[e.By[0]].At.Sub(time.UnixMilli(e.Time)))
				}
			}
		}
	}
	t.Logf("samples came at most %s after their timestamp", lag.Round(time.Millisecond))
	if lag > 3*time.Second {
		t.Errorf("samples came %s late", lag)
	}
	if n := metric(t, relay, "promrelay_relay_waiting", `"dead"`); n != 1 {
		t.Errorf("promrelay_relay_waiting of the dead one is %v", n)
	}
	if n := metric(t, relay, "promrelay_relay_waiting"); n != 1 {
		t.Errorf("%v destinations wait, want 1", n)
	}
	behind := metric(t, relay, "promrelay_relay_behind_samples", `"dead"`)
	if want := float64(10 * 4 * 200); behind < want {
		t.Errorf("the dead one is %v samples behind, want %v or more", behind, want)
	}
	end := time.Now()
	if err := relay.Stop(); err != nil {
		t.Error(err)
	}
	t.Logf("%v samples wait for the dead one; the relay ended in %s", behind, time.Since(end).Round(time.Millisecond))
	inAll := func(ls map[string]string) map[string]string {
		ls = maps.Clone(ls)
		ls["cluster"] = "c1"
		return ls
	}
	inSome := func(ls map[string]string) map[string]string {
		ls = inAll(ls)
		ls["zone"] = "z"
		if ls["__name__"] == "dropped_total" || ls["page"] == "2" {
			return nil
		}
		ls["both"] = "c1-" + ls["i"]
		return ls
	}
	for r, change := range map[*receiver]func(map[string]string) map[string]string{all: inAll, some: inSome} {
		r.sound(t)
		var known []target
		for _, e := range es {
			g := e.in("three")
			g.change = change
			demand(t, e.address, g.check(t, r.of(map[string]string{"instance": e.address})), e.whole(end))
			known = append(known, g)
		}
		onlyKnown(t, r.of(nil), known...)
	}
}
