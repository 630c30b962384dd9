// Package samples compares the samples of the relay with those of Prometheus: the same sequence of pages goes to
// prometheus/scrape with a recording appender, and through the relay's rooms scrape, record, wal and relay to a receiver
// of remote write 2.0. What arrives there must be what Prometheus appended: series, bits of values, timestamps, staleness markers,
// histograms, exemplars, metadata, start timestamps and report series. What targets are asked must be the same, too.
//
// Both scrape in a bubble of testing/synctest, so that time is the same for both. The log, the relay and the receiver run outside, and
// serve many sequences. Segments are small, so that tables are written again and again; in half of the sequences the relay restarts.
//
// SEQUENCES says how many sequences are played, SEED with which one to start.
package samples
