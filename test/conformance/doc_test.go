// Package conformance compares the relay's targets with those of prometheus-operator and Prometheus for the same objects. The oracle
// of test/oracle, a process of its own, says what these make of a case.
//
// Cases are those of testdata, with the oracle's answers beside them, and random ones from fixed seeds.
package conformance
