package informers

import (
	"context"
	"math/rand/v2"
	"time"

	"go.uber.org/zap"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"

	"promrelay/informers/cluster"
)

// retrying repeats list and watch calls at a constant interval while the API server is unreachable. An informer alone backs off to a
// minute, and begins the next outage with that minute. So it would notice late that the server is back.
func (w *watched) retrying(p *part, lw cache.ListerWatcher) cache.ListerWatcher {
	of := cache.ToListerWatcherWithContext(lw)
	return cache.ToListWatcherWithWatchListSemantics(&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			return retry(ctx, w.retryable(p), func() (runtime.Object, error) { return of.ListWithContext(ctx, o) })
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			got, err := retry(ctx, w.retryable(p), func() (watch.Interface, error) { return of.WatchWithContext(ctx, o) })
			if err == nil {
				w.resume(p)
			}
			return got, err
		},
	}, lw)
}

// maxRefusals is how many refusals in a row are an outage, for a watch that was allowed before. An API server that has just started
// refuses everything for some seconds, until it has read the roles.
const maxRefusals = 10

// retryable returns a function that notes the error of a call, and reports whether to make the call again.
func (w *watched) retryable(p *part) func(error) bool {
	refused := 0
	return func(err error) bool {
		if apierrors.IsForbidden(err) && p.synced() {
			refused++
		}
		if !cluster.Unreachable(err) && (refused == 0 || refused > maxRefusals) {
			return false
		}
		w.interrupt(p, err)
		return true
	}
}

// retry repeats a call, every one to two seconds, until it succeeds, its error is not retryable, or ctx ends.
func retry[T any](ctx context.Context, retryable func(error) bool, call func() (T, error)) (T, error) {
	for {
		got, err := call()
		if err == nil || ctx.Err() != nil || !retryable(err) {
			return got, err
		}
		select {
		case <-ctx.Done():
			return got, err
		case <-time.After(awayEvery + rand.N(awayEvery)):
		}
	}
}

// interrupt notes that a list or watch has failed. The known objects stay.
func (w *watched) interrupt(p *part, err error) {
	w.mu.Lock()
	changed := p.silent == "" && !p.synced()
	p.silent, p.away = "the watch is interrupted, go on with what is known: "+err.Error(), cluster.Unreachable(err)
	isAway := p.away
	w.noteStateLocked()
	w.mu.Unlock()
	if changed { // others may wait for the first list
		w.note(w.Resource, stateChange)
	}
	if isAway && w.outage != nil {
		w.outage.Begin(p, err)
		return
	}
	w.outage.End(p, false)
	if time.Now().Unix()-w.complained.Load() > 60 { // it is retried every second
		w.complained.Store(time.Now().Unix())
		w.log.Warn("watch is interrupted, go on with what is known", zap.NamedError("err", err))
	}
}

// refuse notes that the relay has no right to list and watch the resource, so that nobody waits for it.
func (w *watched) refuse(p *part, why string) {
	w.mu.Lock()
	changed := p.refused != why
	p.refused, p.silent, p.away = why, "", false
	w.noteStateLocked()
	w.mu.Unlock()
	w.outage.End(p, true)
	if changed {
		w.log.Warn("not watched", zap.String("reason", why))
		w.note(w.Resource, stateChange)
	}
}

// resume notes that there is a watch again.
func (w *watched) resume(p *part) {
	w.mu.Lock()
	was := p.refused
	p.refused, p.silent, p.away = "", "", false
	w.noteStateLocked()
	w.mu.Unlock()
	w.outage.End(p, true)
	if was != "" {
		w.log.Info("watched after all")
	}
}
