// Dashboards and alerts of promrelay, in the form that mixins have.
(import 'config.libsonnet')
+ (import 'alerts.libsonnet')
+ {
  grafanaDashboards+:: {
    ['promrelay-' + name + '.json']: (import 'grafana.libsonnet')($._config).dashboard(name, dashboards[name]($._config))
    for name in std.objectFields(dashboards)
  },
  local dashboards = {
    fleet: import 'dashboards/fleet.libsonnet',
    relay: import 'dashboards/relay.libsonnet',
    destinations: import 'dashboards/destinations.libsonnet',
    scrapes: import 'dashboards/scrapes.libsonnet',
    discovery: import 'dashboards/discovery.libsonnet',
    log: import 'dashboards/log.libsonnet',
  },
}
