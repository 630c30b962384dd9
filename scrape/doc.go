// Package scrape fetches the pages of targets, and writes their samples to the log: one record for
// each scrape, in columns. Each target has a table of the series of its last page. A page that
// hardly changed needs no parser and no relabelling.
//
// The files, from top to bottom; none uses one above it:
//
//	pool, job      which targets are scraped
//	loop           when a target is scraped, and when its series end
//	scraper        one scrape: fetch, read, write, count
//	fetch          one HTTP exchange (clients, conn, redirect)
//	parse          which reader a page needs: text, protobuf, or entries for everything else
//	sample         one sample of a page: relabel, check, put into the record (metadata, columns, exemplar, histogram, conclude)
//	page           the reading of one page (position, changes, window)
//	writer         records to the log, in the order that package order demands
//	table          what the pages of a target have led to (line, family, report)
//	settings       how the pages of a target are read; beside it limits, memory, clock, metrics, panics and the like
//
// Promises: the output is that of prometheus/scrape over tsdb/agent for the same pages: values to
// the bit, timestamps, staleness markers, report series, limits. The samples of a series are
// written in order of time, whichever targets give them, and across restarts as far as the log was
// read. Not promised: that a scrape begins on time on a machine that is too busy. The delay is
// measured.
package scrape
