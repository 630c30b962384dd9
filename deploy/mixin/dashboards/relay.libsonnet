// One relay: the process, and how its parts do.
function(config)
  local p = import '../panels.libsonnet';
  local c = config { s: '%(selector)s, %(clusterLabel)s=~"$cluster"' % config, m: '%(clusterLabel)s=~"$cluster"' % config };
  local f(text) = text % c;
  {
    title: 'Relay',
    description: 'The relay of a cluster: process, targets, samples, configuration.',
    variables: ['cluster'],
    rows: [
      {
        title: 'Now',
        panels: [
          p.number('Up', 'Whether the relay answers scrapes.', 'short', f('min(up{%(s)s})')),
          p.number('Runs since', 'Time since the start of the process.', 's', f('time() - max(process_start_time_seconds{%(s)s})')),
          p.number('Targets', 'Targets that are scraped.', 'short', f('sum(promrelay_scrape_targets{%(m)s})')),
          p.number('Series', 'Series of all targets.', 'short', f('sum(promrelay_scrape_series{%(m)s})')),
          p.number('Configuration refused', '1 while the configuration file has a mistake; the one before it is in force.', 'short', f('count(promrelay_config_last_reload_successful{%(m)s} == 0) or vector(0)'), 1),
          p.number('Panics in 24 h', 'Defects of promrelay that were caught. The log has the stack.', 'short', std.join(' + ', [f('sum(increase(promrelay_' + part + '_panics_total{%(m)s}[1d]))') for part in ['scrape', 'relay', 'discovery', 'web', 'metrics']]), 1),
        ],
      },
      {
        title: 'Way of the samples',
        panels: [
          p.graph('Samples a second', 'In: given to the log. Out: taken by a destination.', 'short', [
            p.query(f('sum(rate(promrelay_scrape_samples_total{%(m)s}[$__rate_interval]))'), 'scraped'),
            p.query(f('sum by (destination) (rate(promrelay_relay_sent_samples_total{%(m)s}[$__rate_interval]))'), 'to {{destination}}'),
          ]),
          p.graph('Lag', 'Age of the newest sample that a destination took.', 's', [p.query(f('max by (destination) (time() - promrelay_relay_newest_sample_timestamp_seconds{%(m)s})'), '{{destination}}')]),
        ],
      },
      {
        title: 'Process',
        panels: [
          p.graph('CPU', 'Cores that the process uses.', 'short', [p.query(f('sum by (instance) (rate(process_cpu_seconds_total{%(s)s}[$__rate_interval]))'), '{{instance}}')]),
          p.graph('Memory', 'Resident memory, and the heap that is in use.', 'bytes', [
            p.query(f('sum by (instance) (process_resident_memory_bytes{%(s)s})'), 'resident {{instance}}'),
            p.query(f('sum by (instance) (go_memstats_heap_inuse_bytes{%(s)s})'), 'heap {{instance}}'),
          ]),
          p.graph('CPU for a sample', 'Seconds of CPU for each scraped sample.', 's', [p.query(f('sum(rate(process_cpu_seconds_total{%(s)s}[$__rate_interval])) / sum(rate(promrelay_scrape_samples_total{%(m)s}[$__rate_interval]))'), 'CPU for a sample')]),
          p.graph('Goroutines and open files', 'One goroutine for each target, and some.', 'short', [
            p.query(f('sum by (instance) (go_goroutines{%(s)s})'), 'goroutines {{instance}}'),
            p.query(f('sum by (instance) (process_open_fds{%(s)s})'), 'files {{instance}}'),
          ]),
          p.graph('Clock steps', 'How often the clock of the node was set by more than a second, in an hour.', 'short', [p.query(f('sum by (direction) (increase(promrelay_scrape_clock_steps_total{%(m)s}[1h]))'), '{{direction}}')]),
        ],
      },
    ],
  }
