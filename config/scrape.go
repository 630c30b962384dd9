package config

// Scrape says what no page may go beyond, whichever job asks for it.
type Scrape struct {
	// BodySizeLimit is the size, decompressed, at which a page is refused. 0 for none. A body_size_limit of the job goes before it.
	BodySizeLimit Bytes `yaml:"body_size_limit"`
	// LineSizeLimit is how long a line may be, or in protobuf a series, a histogram or a HELP text. 0 for 16 MB, the most that can be held.
	LineSizeLimit Bytes `yaml:"line_size_limit"`
	// MemoryLimit is what scrapes may hold together while they last; more wait. 0 for none, negative for half of the memory limit
	// of the process.
	MemoryLimit Bytes `yaml:"memory_limit"`
}

// DefaultScrape is what holds without a scrape block.
var DefaultScrape = Scrape{BodySizeLimit: 256 << 20, LineSizeLimit: 1 << 20, MemoryLimit: -1}

func (s Scrape) validate(bad func(path, format string, args ...any)) {
	if s.BodySizeLimit < 0 {
		bad("scrape.body_size_limit", "%d is negative: want a number of bytes, or 0 for no limit", s.BodySizeLimit)
	}
	if s.LineSizeLimit < 0 {
		bad("scrape.line_size_limit", "%d is negative: want a number of bytes, or 0 for no limit but that of 16 MB", s.LineSizeLimit)
	}
	if m := s.MemoryLimit; m > 0 && m < leastScrapeMemory {
		bad("scrape.memory_limit", "%d: want %d (16MB) or more, 0 for no limit, -1 for half of the process's", m, int64(leastScrapeMemory))
	}
}

// leastScrapeMemory is enough for a few scrapes at a time.
const leastScrapeMemory = 16 << 20
