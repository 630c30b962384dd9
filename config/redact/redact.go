// Package redact makes texts fit to be shown: URLs, errors, what receivers and targets answer. It is the one place that decides what of
// them is secret.
//
// Promises: a URL is shown without its user and without the values of parameters whose names speak of secrets; a known secret of 8
// bytes or more is nowhere left in a text, as it is, escaped, or in base64; one of 4 bytes or more is not where it stands as a word of its
// own, and a shorter one not where it stands in quotes or the like. No secret is taken out of the middle of a word where the rest of
// the word would tell it. Not promised: that a secret is found which nobody has named and whose place does not tell.
package redact

import (
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Mark stands where a secret stood.
const Mark = "<secret>"

// secretWords are parts of the names of parameters, headers and keys whose values are secret.
var secretWords = []string{
	"token", "password", "passwd", "passphrase", "pwd", "secret", "credential", "apikey", "accesskey", "privatekey",
	"signature", "auth", "session", "jwt", "bearer", "cookie",
}

// secretNames are such names as a whole.
var secretNames = []string{"key", "sig", "pass", "pw", "keydata"}

// Name tells whether what is called so is likely to be secret: a parameter of a URL, a header, a key of a file. The names of files
// are not, nor are the ways to reach a server of tokens.
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

// URL is a URL without its user, and with Mark for the values of parameters whose names speak of secrets. Of one that cannot be read
// nothing is shown that may be a user or a query.
func URL(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return unreadable(raw)
	}
	query := u.RawQuery
	u.User, u.RawQuery, u.Fragment, u.RawFragment = nil, "", "", ""
	if u.Opaque != "" && strings.Contains(u.Opaque, "@") { // u:password@host, without slashes
		return Mark
	}
	shown := strings.TrimSuffix(asWritten(u, raw), "?")
	if query == "" {
		return shown
	}
	pairs := strings.Split(query, "&")
	for i, pair := range pairs {
		name, _, _ := strings.Cut(pair, "=")
		if plain, err := url.QueryUnescape(name); err != nil || Name(plain) {
			pairs[i] = name + "=" + Mark
		}
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

// asWritten is u with the scheme in the case in which raw has it.
func asWritten(u *url.URL, raw string) string {
	text := u.String()
	if n := len(u.Scheme); strings.HasPrefix(text, u.Scheme) && n <= len(raw) && strings.EqualFold(raw[:n], u.Scheme) {
		return raw[:n] + text[n:]
	}
	return text
}

// unreadable is what may be shown of a URL that cannot be parsed: nothing of it where it may have a user with a password, for nobody
// knows then where these end.
func unreadable(raw string) string {
	if strings.Contains(raw, "@") {
		return "..."
	}
	if end := strings.IndexAny(raw, "?#"); end >= 0 {
		return raw[:end]
	}
	return raw
}

// Param is the value of a label or parameter as it may be shown: of __param_token and the like Mark is.
func Param(name, value string) string {
	if p, ok := strings.CutPrefix(name, "__param_"); ok && value != "" && Name(p) {
		return Mark
	}
	return value
}

const bare = `\b[a-zA-Z][a-zA-Z0-9+.-]*://(?:[^\s"'<>\x60]|` + Mark + `)+`

var (
	bareURL  = regexp.MustCompile(bare)
	anyURL   = regexp.MustCompile(`"(?:[^"\\]|\\.)*"|` + bare)
	urlStart = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9+.-]*://`)
)

// Text makes the URLs in a text fit to be shown. Secrets that are known otherwise a Redactor takes out.
func Text(text string) string {
	if !strings.Contains(text, "://") {
		return text
	}
	return anyURL.ReplaceAllStringFunc(text, func(found string) string {
		if found[0] != '"' {
			return inText(found)
		}
		if raw, err := strconv.Unquote(found); err == nil && urlStart.MatchString(raw) { // all of it, also what ends a URL elsewhere
			return `"` + URL(raw) + `"`
		}
		return bareURL.ReplaceAllStringFunc(found, inText)
	})
}

// inText is a URL of a sentence, which may end it.
func inText(raw string) string {
	cut := strings.TrimRight(raw, `.,;:)]}`)
	return URL(cut) + raw[len(cut):]
}
