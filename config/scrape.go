package config

// Scrape holds limits for the pages of all jobs.
type Scrape struct {
	// BodySizeLimit is the decompressed size at which a page is refused; 0 for none. A job's body_size_limit overrides it.
	BodySizeLimit Bytes `yaml:"body_size_limit"`
	// LineSizeLimit is the longest line, or in protobuf the longest series, histogram or HELP text; 0 for 16 MB, which is the maximum.
	LineSizeLimit Bytes `yaml:"line_size_limit"`
	// MemoryLimit bounds the memory of all scrapes under way; further scrapes wait. 0 for none, negative for half of the process's memory
	// limit.
	MemoryLimit Bytes `yaml:"memory_limit"`
}

// DefaultScrape is used without a scrape block.
var DefaultScrape = Scrape{BodySizeLimit: 256 << 20, LineSizeLimit: 1 << 20, MemoryLimit: -1}

func (s Scrape) validate(bad func(path, format string, args ...any)) {
	if s.BodySizeLimit < 0 {
		bad("scrape.body_size_limit", "%d is negative: want a number of bytes, or 0 for no limit", s.BodySizeLimit)
	}
	if s.LineSizeLimit < 0 {
		bad("scrape.line_size_limit", "%d is negative: want a number of bytes, or 0 for no limit but that of 16 MB", s.LineSizeLimit)
	}
	if m := s.MemoryLimit; m > 0 && m < minScrapeMemory {
		bad("scrape.memory_limit", "%d: want %d (16MB) or more, 0 for no limit, -1 for half of the process's", m, int64(minScrapeMemory))
	}
}

// minScrapeMemory is enough for a few scrapes at a time.
const minScrapeMemory = 16 << 20
