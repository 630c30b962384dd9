package targets

import (
	config_util "github.com/prometheus/common/config"
)

// plainHTTP writes the settings of an httpBuilder as keys of a configuration file. It includes the values of Secrets, which an
// HTTPClientConfig hides when it is marshalled.
func plainHTTP(h *config_util.HTTPClientConfig) map[string]any {
	out := map[string]any{}
	if a := h.BasicAuth; a != nil {
		out["basic_auth"] = map[string]any{"username": a.Username, "password": string(a.Password)}
	}
	if a := h.Authorization; a != nil {
		out["authorization"] = map[string]any{"type": a.Type, "credentials": string(a.Credentials)}
	}
	if o := h.OAuth2; o != nil {
		section := map[string]any{
			"client_id": o.ClientID, "client_secret": string(o.ClientSecret), "token_url": o.TokenURL,
			"scopes": o.Scopes, "endpoint_params": o.EndpointParams,
		}
		plainTLS(section, &o.TLSConfig)
		plainProxy(section, &o.ProxyConfig)
		out["oauth2"] = section
	}
	plainTLS(out, &h.TLSConfig)
	plainProxy(out, &h.ProxyConfig)
	return out
}

func plainTLS(out map[string]any, t *config_util.TLSConfig) {
	if *t == (config_util.TLSConfig{}) {
		return
	}
	section := map[string]any{
		"ca": t.CA, "cert": t.Cert, "key": string(t.Key), "server_name": t.ServerName, "insecure_skip_verify": t.InsecureSkipVerify,
	}
	if t.MinVersion != 0 {
		section["min_version"] = t.MinVersion.String()
	}
	if t.MaxVersion != 0 {
		section["max_version"] = t.MaxVersion.String()
	}
	out["tls_config"] = section
}

func plainProxy(out map[string]any, p *config_util.ProxyConfig) {
	if p.ProxyURL.URL != nil {
		out["proxy_url"] = p.ProxyURL.URL.String()
	}
	if p.NoProxy != "" {
		out["no_proxy"] = p.NoProxy
	}
	if p.ProxyFromEnvironment {
		out["proxy_from_environment"] = true
	}
	if len(p.ProxyConnectHeader) > 0 {
		header := map[string][]string{}
		for name, values := range p.ProxyConnectHeader {
			for _, v := range values {
				header[name] = append(header[name], string(v))
			}
		}
		out["proxy_connect_header"] = header
	}
}
