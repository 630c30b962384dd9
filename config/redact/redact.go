// Package redact removes secrets from texts that are shown: URLs, errors, answers of receivers and targets. It is the one place that decides
// what is secret.
//
// Promises: a URL is shown without its user and without the values of parameters with names of secrets. A known secret of 8 bytes or more
// is removed everywhere in a text, also escaped or in base64. A secret of 4 bytes or more is removed if it is a separate word, and a
// shorter one if it is in quotes or similar marks. No secret is removed from the middle of a word if the rest of the word would reveal it.
// Not promised: that it finds a secret which nobody has named and whose key does not suggest a secret.
package redact

import (
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Mark replaces a secret.
const Mark = "<secret>"

// secretWords are parts of names of secrets: parameters, headers and keys.
var secretWords = []string{
	"token", "password", "passwd", "passphrase", "pwd", "secret", "credential", "apikey", "accesskey", "privatekey",
	"signature", "auth", "session", "jwt", "bearer", "cookie",
}

// secretNames are whole names of secrets.
var secretNames = []string{"key", "sig", "pass", "pw", "keydata"}

// Name reports whether a parameter of a URL, a header or a key with this name is likely to be secret. Names of files are not, and neither
// are the keys that say how to reach a server of tokens.
func Name(name string) bool {
	name = strings.Map(func(r rune) rune {
		if r == '-' || r == '_' || r == '.' || r == '[' || r == ']' {
			return -1
		}
		return r
	}, strings.ToLower(name))
	for _, harmless := range []string{"file", "files", "url", "ref", "type", "path", "name"} {
		if strings.HasSuffix(name, harmless) {
			return false
		}
	}
	return slices.Contains(secretNames, name) || slices.ContainsFunc(secretWords, func(w string) bool { return strings.Contains(name, w) })
}

// URL returns a URL without its user, and with Mark for the values of parameters with names of secrets. If it does not parse, everything that
// may be a user or a query is left out.
func URL(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return unreadable(raw)
	}
	query := u.RawQuery
	hidden := u.User != nil || u.Fragment != "" || u.ForceQuery // otherwise it is shown as it is written
	u.User, u.RawQuery, u.Fragment, u.RawFragment = nil, "", "", ""
	if u.Opaque != "" && strings.Contains(u.Opaque, "@") { // u:password@host, without slashes
		return Mark
	}
	shown := strings.TrimSuffix(asWritten(u, raw), "?")
	if query == "" {
		if !hidden {
			return raw
		}
		return shown
	}
	pairs := strings.Split(query, "&")
	for i, pair := range pairs {
		name, value, _ := strings.Cut(pair, "=")
		if plain, err := url.QueryUnescape(name); err != nil || Name(plain) {
			pairs[i], hidden = name+"="+Mark, true
		} else if inner, err := url.QueryUnescape(value); err == nil && Text(inner) != inner { // a URL in a parameter, as a prober has it
			pairs[i], hidden = name+"="+url.QueryEscape(Text(inner)), true
		}
	}
	if !hidden {
		return raw
	}
	return shown + "?" + strings.Join(pairs, "&")
}

// BareURL is a URL without its user, query and fragment: of a receiver, whose query belongs to its credentials.
func BareURL(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return unreadable(raw)
	}
	bare := *u
	bare.User, bare.RawQuery, bare.ForceQuery, bare.Fragment, bare.RawFragment = nil, "", false, "", ""
	if strings.Contains(bare.Opaque, "@") {
		return Mark
	}
	return asWritten(&bare, raw)
}

// asWritten returns u with the scheme in the same case as in raw.
func asWritten(u *url.URL, raw string) string {
	text := u.String()
	if n := len(u.Scheme); strings.HasPrefix(text, u.Scheme) && n <= len(raw) && strings.EqualFold(raw[:n], u.Scheme) {
		return raw[:n] + text[n:]
	}
	return text
}

// unreadable returns the part of an unparsable URL that may be shown. If the URL may have a user with a password, nothing is shown, because
// it is not clear where these end.
func unreadable(raw string) string {
	if strings.Contains(raw, "@") {
		return "..."
	}
	if end := strings.IndexAny(raw, "?#"); end >= 0 {
		return raw[:end]
	}
	return raw
}

// Param returns the value of a label or parameter as it may be shown: Mark for __param_token and similar names, and no secrets of URLs.
func Param(name, value string) string {
	if p, ok := strings.CutPrefix(name, "__param_"); ok && value != "" && Name(p) {
		return Mark
	}
	return Text(value)
}

const bare = `\b[a-zA-Z][a-zA-Z0-9+.-]*://(?:[^\s"'<>\x60]|` + Mark + `)+`

var (
	bareURL  = regexp.MustCompile(bare)
	anyURL   = regexp.MustCompile(`"(?:[^"\\]|\\.)*"|` + bare)
	urlStart = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9+.-]*://`)
)

// Text removes the secrets from the URLs in a text. A Redactor removes other known secrets.
func Text(text string) string {
	if !strings.Contains(text, "://") {
		return text
	}
	return anyURL.ReplaceAllStringFunc(text, func(found string) string {
		if found[0] != '"' {
			return inText(found)
		}
		if raw, err := strconv.Unquote(found); err == nil && urlStart.MatchString(raw) { // all of it, also characters that end a URL elsewhere
			return `"` + URL(raw) + `"`
		}
		return bareURL.ReplaceAllStringFunc(found, inText)
	})
}

// inText is a URL in a sentence. The sentence may end directly after it.
func inText(raw string) string {
	cut := strings.TrimRight(raw, `.,;:)]}`)
	return URL(cut) + raw[len(cut):]
}
