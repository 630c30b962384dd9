// Destinations: lag, rate, answers, and what they do not get.
function(config)
  local p = import '../panels.libsonnet';
  local c = config { m: '%(clusterLabel)s=~"$cluster", destination=~"$destination"' % config };
  local f(text) = text % c;
  local by = '{{%s}} {{destination}}' % config.clusterLabel;
  {
    title: 'Destinations',
    description: 'Delivery: lag, rate, answers of the receivers, and what they do not get.',
    variables: ['cluster', 'destination'],
    rows: [
      {
        title: 'Lag',
        panels: [
          p.graph('Lag', 'Age of the newest sample that the destination took.', 's', [p.query(f('max by (%(clusterLabel)s, destination) (time() - promrelay_relay_newest_sample_timestamp_seconds{%(m)s})'), by)]),
          p.graph('Samples that wait', 'Samples in the log that the destination has not taken yet.', 'short', [p.query(f('sum by (%(clusterLabel)s, destination) (promrelay_relay_behind_samples{%(m)s})'), by)]),
          p.graph('Waiting', '1 while the destination takes nothing and requests wait.', 'short', [p.query(f('max by (%(clusterLabel)s, destination) (promrelay_relay_waiting{%(m)s})'), by)]),
          p.graph('Time to catch up', 'How long the backlog takes if it goes on shrinking as in the last 10 minutes.', 's', [p.query(f('max by (%(clusterLabel)s, destination) (promrelay_relay_behind_samples{%(m)s} / clamp_min(-deriv(promrelay_relay_behind_samples{%(m)s}[10m]), 1))'), by)]),
        ],
      },
      {
        title: 'Requests',
        panels: [
          p.graph('Samples sent', 'Samples a second that the destination took.', 'short', [p.query(f('sum by (%(clusterLabel)s, destination) (rate(promrelay_relay_sent_samples_total{%(m)s}[$__rate_interval]))'), by)]),
          p.graph('Bytes a sample', 'Bytes of requests, compressed, for each sample. Repeated requests count.', 'bytes', [p.query(f('sum by (%(clusterLabel)s, destination) (rate(promrelay_relay_sent_bytes_total{%(m)s}[$__rate_interval])) / sum by (%(clusterLabel)s, destination) (rate(promrelay_relay_sent_samples_total{%(m)s}[$__rate_interval]))'), by)]),
          p.graph('Requests by status', 'None means that there was no answer.', 'reqps', [p.query(f('sum by (destination, status) (rate(promrelay_relay_requests_total{%(m)s}[$__rate_interval]))'), '{{destination}} {{status}}')]),
          p.graph('Duration of requests', 'Time until a request was answered.', 's', [
            p.query(f('histogram_quantile(0.99, sum by (destination, le) (rate(promrelay_relay_request_duration_seconds_bucket{%(m)s}[$__rate_interval])))'), '99%% {{destination}}'),
            p.query(f('histogram_quantile(0.5, sum by (destination, le) (rate(promrelay_relay_request_duration_seconds_bucket{%(m)s}[$__rate_interval])))'), '50%% {{destination}}'),
          ]),
          p.graph('Retries', 'Requests a second that had to be sent again.', 'reqps', [p.query(f('sum by (%(clusterLabel)s, destination) (rate(promrelay_relay_retries_total{%(m)s}[$__rate_interval]))'), by)]),
          p.graph('Shards', 'Requests that may be under way at a time.', 'short', [p.query(f('sum by (%(clusterLabel)s, destination) (promrelay_relay_shards{%(m)s})'), by)]),
        ],
      },
      {
        title: 'Not delivered',
        panels: [
          p.graph('Samples dropped', 'Samples a second that the destination does not get, by reason. relabel: write_relabel_configs drop them.', 'short', [p.query(f('sum by (destination, reason) (rate(promrelay_relay_dropped_samples_total{%(m)s}[$__rate_interval]))'), '{{destination}} {{reason}}')]),
          p.graph('Series set aside', 'Series that are not sent for a while, since the destination refuses them again and again.', 'short', [p.query(f('sum by (%(clusterLabel)s, destination) (promrelay_relay_set_aside_series{%(m)s})'), by)]),
          p.graph('Unclear refusals', 'Requests in an hour that were refused in part without saying how many samples. They count as sent.', 'short', [p.query(f('sum by (%(clusterLabel)s, destination) (increase(promrelay_relay_unclear_refusals_total{%(m)s}[1h]))'), by)]),
          p.graph('Samples lost', 'Samples in an hour that the destination never got because their segment was gone, by reason.', 'short', [p.query(f('sum by (destination, reason) (increase(promrelay_wal_lost_total{%(m)s}[1h]))'), '{{destination}} {{reason}}')]),
        ],
      },
    ],
  }
