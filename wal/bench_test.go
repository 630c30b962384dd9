package wal

import (
	"crypto/rand"
	"testing"
)

// benchGroup is a scrape of about 20 kB, as the writer of records hands it in.
func benchGroup() []Frame {
	payload := make([]byte, 20<<10)
	rand.Read(payload)
	return []Frame{{Type: 1, Repeated: true, Payload: payload[:64]}, {Type: 2, Count: 2500, Payload: payload}}
}

func BenchmarkAppend(b *testing.B) {
	w, err := Open(Options{Dir: b.TempDir(), MaxBytes: 1 << 30, MinFreeBytes: -1})
	if err != nil {
		b.Fatal(err)
	}
	defer closeLog(b, w)
	group := benchGroup()
	b.SetBytes(20<<10 + 64)
	b.ReportAllocs()
	for b.Loop() {
		mustAppend(b, w, group...)
	}
}

func BenchmarkAppendParallel(b *testing.B) {
	w, err := Open(Options{Dir: b.TempDir(), MaxBytes: 1 << 30, MinFreeBytes: -1})
	if err != nil {
		b.Fatal(err)
	}
	defer closeLog(b, w)
	group := benchGroup()
	b.SetBytes(20<<10 + 64)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			mustAppend(b, w, group...)
		}
	})
}

// BenchmarkRead reads what is in the page cache from front to back.
func BenchmarkRead(b *testing.B) {
	benchmarkRead(b, func(*WAL) Position { return Position{} })
}

// BenchmarkReplay starts at the end of a segment, and is given the tables before.
func BenchmarkReplay(b *testing.B) {
	benchmarkRead(b, func(w *WAL) Position { return w.Head() })
}

func benchmarkRead(b *testing.B, from func(*WAL) Position) {
	w, err := Open(Options{Dir: b.TempDir(), MinFreeBytes: -1})
	if err != nil {
		b.Fatal(err)
	}
	defer closeLog(b, w)
	group := benchGroup()
	for w.Head().Offset < 32<<20 {
		mustAppend(b, w, group...)
	}
	b.SetBytes(w.Head().Offset)
	b.ReportAllocs()
	for b.Loop() {
		r := newReader(b, w, from(w))
		for {
			_, ok, err := r.TryNext()
			if err != nil {
				b.Fatal(err)
			}
			if !ok {
				break
			}
		}
		r.Close()
	}
}

// BenchmarkTail appends a group and reads it at the head.
func BenchmarkTail(b *testing.B) {
	w, err := Open(Options{Dir: b.TempDir(), MaxBytes: 1 << 30, MinFreeBytes: -1})
	if err != nil {
		b.Fatal(err)
	}
	defer closeLog(b, w)
	r := newReader(b, w, w.Head())
	group := benchGroup()
	b.SetBytes(20<<10 + 64)
	b.ReportAllocs()
	for b.Loop() {
		mustAppend(b, w, group...)
		for range group {
			if _, err := r.Next(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// BenchmarkOpen recovers a log of 64 MiB that was not closed.
func BenchmarkOpen(b *testing.B) {
	d := newMemDisk()
	w := openOn(b, d, func(o *Options) { o.SegmentBytes = 64 << 20 })
	group := benchGroup()
	for w.Head().Offset < 64<<20 {
		mustAppend(b, w, group...)
	}
	d.claimed = false
	for b.Loop() {
		w := openOn(b, d, func(o *Options) { o.SegmentBytes = 64 << 20 })
		d.claimed = false
		delete(d.live, w.active.path)
	}
}
