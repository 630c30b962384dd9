// Package scrape fetches the pages of targets, and writes what it finds there to the log: one record a scrape, in columns.
// Each target has a table of the series that its page led to last time, so that a page which hardly changed needs neither
// parser nor relabelling.
//
// Promises: what comes out is what prometheus/scrape over tsdb/agent gives, for the same pages: values to the bit, timestamps,
// staleness markers, report series, limits. The samples of one series are written in order of time, whichever targets give
// them, across restarts too as far as the log was read. Not promised: that a scrape begins on time on a machine that is
// too busy; that is measured.
package scrape
