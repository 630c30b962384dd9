// Scrapes: which fail, how long they take, what limits and the guard drop.
function(config)
  local p = import '../panels.libsonnet';
  local c = config { m: '%(clusterLabel)s=~"$cluster"' % config };
  local f(text) = text % c;
  local by = '{{%s}}' % config.clusterLabel;
  {
    title: 'Scrapes',
    description: 'Scrapes: which fail, how long they take, and what is left out.',
    variables: ['cluster'],
    rows: [
      {
        title: 'Targets',
        panels: [
          p.graph('Targets', 'Targets that are scraped.', 'short', [p.query(f('sum by (%(clusterLabel)s) (promrelay_scrape_targets{%(m)s})'), by)]),
          p.graph('Scrapes', 'Scrapes a second, by whether the target was up.', 'short', [p.query(f('sum by (health) (rate(promrelay_scrape_scrapes_total{%(m)s}[$__rate_interval]))'), '{{health}}')]),
          p.table('Jobs with targets that are down', 'Targets of each job, and those that are down.', 'job', [
            p.query(f('count by (%(clusterLabel)s, job) (up{%(m)s})'), 'Targets'),
            p.query(f('count by (%(clusterLabel)s, job) (up{%(m)s} == 0)'), 'Down'),
          ]),
          p.table('Largest targets', 'Targets with the most samples on their last page.', 'instance', [
            p.query(f('topk(20, scrape_samples_scraped{%(m)s})'), 'Samples'),
          ]),
        ],
      },
      {
        title: 'Time',
        panels: [
          p.graph('Duration', 'From the start of a scrape to its end in the log.', 's', [
            p.query(f('histogram_quantile(0.99, sum by (le) (rate(promrelay_scrape_duration_seconds_bucket{%(m)s}[$__rate_interval])))'), '99%'),
            p.query(f('histogram_quantile(0.5, sum by (le) (rate(promrelay_scrape_duration_seconds_bucket{%(m)s}[$__rate_interval])))'), '50%'),
          ]),
          p.graph('Start delay', 'How much later than planned scrapes began. It grows when the process lacks CPU.', 's', [
            p.query(f('histogram_quantile(0.99, sum by (le) (rate(promrelay_scrape_start_delay_seconds_bucket{%(m)s}[$__rate_interval])))'), '99%'),
            p.query(f('histogram_quantile(0.5, sum by (le) (rate(promrelay_scrape_start_delay_seconds_bucket{%(m)s}[$__rate_interval])))'), '50%'),
          ]),
        ],
      },
      {
        title: 'Samples',
        panels: [
          p.graph('Samples', 'Samples a second that were given to the log.', 'short', [p.query(f('sum by (%(clusterLabel)s) (rate(promrelay_scrape_samples_total{%(m)s}[$__rate_interval]))'), by)]),
          p.graph('Series', 'Series of all targets.', 'short', [p.query(f('sum by (%(clusterLabel)s) (promrelay_scrape_series{%(m)s})'), by)]),
          p.graph('Lines that needed a parser', 'Part of the samples whose line was not the expected one. Pages that change much cost more CPU.', 'percentunit', [p.query(f('sum by (%(clusterLabel)s) (rate(promrelay_scrape_parsed_samples_total{%(m)s}[$__rate_interval])) / (sum by (%(clusterLabel)s) (rate(promrelay_scrape_parsed_samples_total{%(m)s}[$__rate_interval])) + sum by (%(clusterLabel)s) (rate(promrelay_scrape_walked_samples_total{%(m)s}[$__rate_interval])))'), by)]),
          p.graph('Bytes of pages', 'Bytes a second, decompressed.', 'Bps', [p.query(f('sum by (%(clusterLabel)s) (rate(promrelay_scrape_bytes_total{%(m)s}[$__rate_interval]))'), by)]),
        ],
      },
      {
        title: 'Left out',
        panels: [
          p.graph('Scrapes beyond a limit', 'Scrapes in an hour that failed because a limit was exceeded.', 'short', [p.query(f('sum by (limit) (increase(promrelay_scrape_limited_total{%(m)s}[1h]))'), '{{limit}}')]),
          p.graph('Samples left out', 'Samples a second that were not given to the log, by reason.', 'short', [p.query(f('sum by (reason) (rate(promrelay_scrape_dropped_samples_total{%(m)s}[$__rate_interval]))'), '{{reason}}')]),
        ],
      },
    ],
  }
