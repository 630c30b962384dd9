package targets

import (
	"encoding/base64"
	"errors"
	"net/url"
	"strings"
	"testing"

	config_util "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"
	promconfig "github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/discovery/targetgroup"
)

func TestRedact(t *testing.T) {
	if got, want := Redact("a long-secret\n in  \"b\"", []string{"", "long-secret", "b"}), `a <secret> in "<secret>"`; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestShownTarget: nothing that may be shown of a target has a secret of its job in it.
func TestShownTarget(t *testing.T) {
	c := promconfig.DefaultScrapeConfig
	c.JobName, c.ScrapeInterval, c.ScrapeTimeout = "j", model.Duration(1e10), model.Duration(1e9)
	c.Params = url.Values{"token": {"SEKRET-token"}, "module": {"http"}}
	c.HTTPClientConfig.BasicAuth = &config_util.BasicAuth{Username: "u", Password: "SEKRET-password"}
	added, err := FromGroup(&Job{Name: "j", Config: &c}, &targetgroup.Group{Source: "s", Targets: []model.LabelSet{{"__address__": "a:1"}}})
	if err != nil || len(added) != 1 {
		t.Fatal(added, err)
	}
	tg := added[0]
	echo := errors.New("Get \"" + tg.URL + "\": server returned HTTP status 403: no SEKRET-password, " + base64.StdEncoding.EncodeToString([]byte("u:SEKRET-password")) + ", SEKRET-token")
	shown := tg.ShownURL() + " " + ShownLabels(tg.Discovered()).String() + " " + tg.ShownError(echo)
	if strings.Contains(shown, "SEKRET") || strings.Contains(shown, base64.StdEncoding.EncodeToString([]byte("u:"))[:3]) {
		t.Error(shown)
	}
	for _, want := range []string{"http://a:1/metrics?module=http&token=<secret>", `__param_module="http"`, `__param_token="<secret>"`, "status 403: no <secret>, <secret>, <secret>"} {
		if !strings.Contains(shown, want) {
			t.Errorf("%s lacks %s", shown, want)
		}
	}
	if !strings.Contains(tg.URL, "SEKRET") || !strings.Contains(tg.Discovered().String(), "SEKRET") {
		t.Error("the target itself has lost its parameter")
	}
}
