package web

import (
	"fmt"
	"net/http"
	"runtime/debug"
	"sync"

	"go.uber.org/zap"
)

// maxLogged bounds how many different panics are logged: the text of one may be new each time.
const maxLogged = 100

// panics calls code that may panic. It logs the first panic of a kind, with its stack.
type panics struct {
	log     *zap.Logger
	message string // of the log
	key     string // of the log's field that names the place
	count   func(place string)

	mu     sync.Mutex
	logged map[string]bool // by place and value; guarded by mu
}

// call calls f. It returns the value of a panic in f, nil if there is none. Place is called only after a panic. http.ErrAbortHandler
// is no error, so it is not reported.
func (p *panics) call(place func() string, f func()) (value any) {
	defer func() {
		if value = recover(); value != nil && value != http.ErrAbortHandler { //nolint:errorlint // net/http compares it so, too
			p.report(place(), value)
		}
	}()
	f()
	return nil
}

func (p *panics) report(place string, value any) {
	p.count(place)
	if p.first(place, value) {
		p.log.Error(p.message, zap.String(p.key, place), zap.Any("panic", value), zap.ByteString("stack", debug.Stack()))
	}
}

// first reports whether a panic is to be logged.
func (p *panics) first(place string, value any) bool {
	key := place + " " + fmt.Sprint(value)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.logged[key] || len(p.logged) >= maxLogged {
		return false
	}
	if p.logged == nil {
		p.logged = map[string]bool{}
	}
	p.logged[key] = true
	return true
}
