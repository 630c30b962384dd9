// What differs from one installation to another. Override it as in any mixin: (import 'mixin.libsonnet') + { _config+:: {...} }.
{
  _config+:: {
    // The series of the relay itself.
    selector: 'job="promrelay"',
    // The external label that names the cluster.
    clusterLabel: 'cluster',
    // What comes before the path of a runbook in the repository, such as the URL of its main branch with a slash.
    repositoryURL: '',
    dashboardTags: ['promrelay'],
  },
}
