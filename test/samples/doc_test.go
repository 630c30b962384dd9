// Package samples compares the samples of the relay with those of Prometheus: the same sequence of pages goes to
// prometheus/scrape with a recording appender, and through the relay's rooms scrape, record, wal and relay to a receiver
// of remote write 2.0. What arrives there must be what Prometheus appended: series, bits of values, timestamps, staleness markers,
// histograms, exemplars, metadata, start timestamps and report series. What targets are asked must be the same, too.
//
// Both run in a bubble of testing/synctest, so that time is the same for both. The log and what is behind it stand outside, and
// serve many sequences: small segments make tables be written again and again, and half of the sequences see the relay restart.
//
// SEQUENCES says how many sequences are played, SEED with which one to start.
package samples
