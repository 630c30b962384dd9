package agent

import (
	"fmt"
	"strings"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
)

// destination translates an item of remoteWrite.
func (t *translation) destination(i int, in monitoringv1.RemoteWriteSpec) *block {
	defer t.within(fmt.Sprintf("remoteWrite[%d]", i))()
	b := newBlock()
	b.set("url", in.URL)
	if in.Name != nil {
		b.given("name", *in.Name)
	}
	b.given("remote_timeout", in.RemoteTimeout)
	b.given("headers", in.Headers)
	if in.MessageVersion != nil {
		b.set("protobuf_message", messages[*in.MessageVersion])
	}
	b.given("send_exemplars", in.SendExemplars)
	b.given("send_native_histograms", in.SendNativeHistograms)
	b.list("write_relabel_configs", rules(in.WriteRelabelConfigs))
	t.basicAuth(b, in.BasicAuth)
	b.given("bearer_token", in.BearerToken)
	t.path(b, "bearer_token_file", in.BearerTokenFile) //nolint:staticcheck // objects may still have it
	t.oauth2(b, in.OAuth2)
	t.tls(b, in.TLSConfig)
	t.authorization(b, in.Authorization)
	t.proxy(b, in.ProxyConfig)
	t.sigv4(b, in.Sigv4)
	t.azure(b, in.AzureAD)
	b.given("follow_redirects", in.FollowRedirects)
	b.given("enable_http2", in.EnableHttp2)
	t.queue(b, in.QueueConfig)
	metadata(b, in.MetadataConfig)
	b.given("round_robin_dns", in.RoundRobinDNS)
	return b
}

var messages = map[monitoringv1.RemoteWriteMessageVersion]string{
	monitoringv1.RemoteWriteMessageVersion1_0: "prometheus.WriteRequest",
	monitoringv1.RemoteWriteMessageVersion2_0: "io.prometheus.write.v2.Request",
}

func rules(in []monitoringv1.RelabelConfig) (out []*block) {
	for _, r := range in {
		b := newBlock()
		b.given("source_labels", r.SourceLabels)
		b.given("separator", r.Separator)
		b.given("target_label", r.TargetLabel)
		b.given("regex", r.Regex)
		b.given("modulus", r.Modulus)
		b.given("replacement", r.Replacement)
		b.given("action", strings.ToLower(r.Action))
		out = append(out, b)
	}
	return out
}

// sigv4 leaves the keys of a Secret to the environment, where the AWS SDK looks for them: Prometheus takes them from no file.
func (t *translation) sigv4(b *block, in *monitoringv1.Sigv4) {
	if in == nil {
		return
	}
	defer t.within("sigv4")()
	out := newBlock()
	out.given("region", in.Region)
	if in.AccessKey != nil && in.SecretKey != nil {
		access, secret := secretRef(*in.AccessKey), secretRef(*in.SecretKey)
		keys := []Variable{{"AWS_ACCESS_KEY_ID", access}, {"AWS_SECRET_ACCESS_KEY", secret}}
		switch {
		case t.inline:
			out.set("access_key", t.value(access))
			out.set("secret_key", t.value(secret))
		case len(t.out.Variables) == 0 || t.out.Variables[0] == keys[0] && t.out.Variables[1] == keys[1]:
			t.out.Variables = keys
		default:
			t.text(out, "access_key", access, false)
			t.text(out, "secret_key", secret, false)
		}
	}
	out.given("profile", in.Profile)
	out.given("role_arn", in.RoleArn)
	out.given("external_id", in.ExternalID)
	out.given("use_fips_sts_endpoint", in.UseFIPSSTSEndpoint)
	b.set("sigv4", out)
}

func (t *translation) azure(b *block, in *monitoringv1.AzureAD) {
	if in == nil {
		return
	}
	defer t.within("azuread")()
	out := newBlock()
	if m := in.ManagedIdentity; m != nil {
		identity := newBlock()
		if m.ClientID != nil {
			identity.given("client_id", *m.ClientID)
		}
		out.set("managed_identity", identity)
	}
	if o := in.OAuth; o != nil {
		oauth := newBlock()
		oauth.set("client_id", o.ClientID)
		oauth.set("client_secret", t.textOf(t.at+".oauth.client_secret", secretRef(o.ClientSecret), false))
		oauth.set("tenant_id", o.TenantID)
		out.set("oauth", oauth)
	}
	if s := in.SDK; s != nil {
		sdk := newBlock()
		sdk.given("tenant_id", s.TenantID)
		out.set("sdk", sdk)
	}
	if w := in.WorkloadIdentity; w != nil {
		identity := newBlock()
		identity.set("client_id", w.ClientID)
		identity.set("tenant_id", w.TenantID)
		out.set("workload_identity", identity)
	}
	out.given("cloud", in.Cloud)
	if in.Scope != nil {
		out.given("scope", *in.Scope)
	}
	b.set("azuread", out)
}

func (t *translation) queue(b *block, in *monitoringv1.QueueConfig) {
	if in == nil {
		return
	}
	out := newBlock()
	out.given("min_shards", in.MinShards)
	out.given("max_shards", in.MaxShards)
	out.given("max_samples_per_send", in.MaxSamplesPerSend)
	out.given("batch_send_deadline", in.BatchSendDeadline)
	out.given("min_backoff", in.MinBackoff)
	out.given("max_backoff", in.MaxBackoff)
	out.given("retry_on_http_429", in.RetryOnRateLimit)
	out.given("sample_age_limit", in.SampleAgeLimit)
	if in.Capacity != 0 {
		t.remark(t.at+".queueConfig.capacity", "what waits to be sent stays in the WAL, not in memory: it is left out")
	}
	if in.MaxRetries != 0 {
		t.remark(t.at+".queueConfig.maxRetries", "Prometheus has not known it since 2.11: it is left out")
	}
	b.set("queue_config", out)
}

func metadata(b *block, in *monitoringv1.MetadataConfig) {
	if in == nil {
		return
	}
	out := newBlock()
	out.set("send", in.Send)
	out.given("send_interval", in.SendInterval)
	out.given("max_samples_per_send", in.MaxSamplesPerSend)
	b.set("metadata_config", out)
}
