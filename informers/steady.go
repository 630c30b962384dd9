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

// steadily asks an API server that is away again and again at one pace. The informer by itself would ask ever more
// seldom, up to once a minute, also in the next outage, and would see as late that the server is back.
func (w *watched) steadily(p *part, lw cache.ListerWatcher) cache.ListerWatcher {
	of := cache.ToListerWatcherWithContext(lw)
	return cache.ToListWatcherWithWatchListSemantics(&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			return untilAnswered(ctx, w.again(p), func() (runtime.Object, error) { return of.ListWithContext(ctx, o) })
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			got, err := untilAnswered(ctx, w.again(p), func() (watch.Interface, error) { return of.WatchWithContext(ctx, o) })
			if err == nil {
				w.resume(p)
			}
			return got, err
		},
	}, lw)
}

// refusals is how often in a row an API server may refuse a watch that it has granted before, until that is believed:
// one that has just started refuses everything for some seconds, since it has not read the roles.
const refusals = 10

// again returns a function that tells whether a call is to be repeated after an error, and notes that error.
func (w *watched) again(p *part) func(error) bool {
	refused := 0
	return func(err error) bool {
		if apierrors.IsForbidden(err) && p.synced() {
			refused++
		}
		if !cluster.Unreachable(err) && (refused == 0 || refused > refusals) {
			return false
		}
		w.interrupt(p, err)
		return true
	}
}

// untilAnswered repeats a call, at a steady pace, until it succeeds, its error is not one to repeat it after, or ctx ends.
func untilAnswered[T any](ctx context.Context, again func(error) bool, call func() (T, error)) (T, error) {
	for {
		got, err := call()
		if err == nil || ctx.Err() != nil || !again(err) {
			return got, err
		}
		select {
		case <-ctx.Done():
			return got, err
		case <-time.After(awayEvery + rand.N(awayEvery)):
		}
	}
}

// interrupt notes that nothing is heard from the API server, or not what it should say. What is known stays.
func (w *watched) interrupt(p *part, err error) {
	w.mu.Lock()
	news := p.silent == "" && !p.synced()
	p.silent, p.away = "the watch is interrupted, go on with what is known: "+err.Error(), cluster.Unreachable(err)
	isAway := p.away
	w.mu.Unlock()
	if news { // others may wait for it
		w.note(w.Resource, stateChange)
	}
	if isAway && w.outage != nil {
		w.outage.Begin(p, err)
		return
	}
	w.outage.End(p, false)
	if time.Now().Unix()-w.complained.Load() > 60 { // it is asked again every second
		w.complained.Store(time.Now().Unix())
		w.log.Warn("watch is interrupted, go on with what is known", zap.Error(err))
	}
}

// refuse notes that the API server does not let the relay watch; then there is nothing to wait for.
func (w *watched) refuse(p *part, why string) {
	w.mu.Lock()
	news := p.refused != why
	p.refused, p.silent, p.away = why, "", false
	w.mu.Unlock()
	w.outage.End(p, true)
	if news {
		w.log.Warn("not watched", zap.String("reason", why))
		w.note(w.Resource, stateChange)
	}
}

// resume takes back what refuse and interrupt noted: there is a watch.
func (w *watched) resume(p *part) {
	w.mu.Lock()
	was := p.refused
	p.refused, p.silent, p.away = "", "", false
	w.mu.Unlock()
	w.outage.End(p, true)
	if was != "" {
		w.log.Info("watched after all")
	}
}
