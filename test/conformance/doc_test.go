// Package conformance compares the targets that the relay finds with those of prometheus-operator and Prometheus, for
// the same objects: the oracle of test/oracle, a process of its own, says what these make of a case.
//
// Cases are those of testdata, which also have the oracle's answers beside them, and random ones from fixed seeds.
package conformance
