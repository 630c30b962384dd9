// The rules of deploy/alerts.yml, with the selector of the configuration.
{
  local config = $._config,
  local named(text) = std.strReplace(text, 'job="promrelay"', config.selector),
  local cluster(text) = std.strReplace(std.strReplace(text, '(cluster)', '(' + config.clusterLabel + ')'), '$labels.cluster', '$labels.' + config.clusterLabel),
  local rule(r) = r {
    expr: cluster(named(r.expr)),
    annotations: {
      [name]: cluster(named(r.annotations[name]))
      for name in std.objectFields(r.annotations)
      if name != 'runbook'
    } + { runbook_url: config.repositoryURL + r.annotations.runbook },
  },
  prometheusAlerts+:: {
    groups+: [
      g { rules: [rule(r) for r in g.rules] }
      for g in std.parseYaml(importstr '../alerts.yml').groups
    ],
  },
}
