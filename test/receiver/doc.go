// Package receiver is the receiver of remote write of all tests. It decodes 1.0 and 2.0, answers as a Profile says, stores what it
// takes, and records more than a real receiver could tell: of each sample how often it was sent and stored, and why it was refused;
// and what of each request is against the specifications (Problems).
//
// A Receiver is an http.Handler. For bubbles of testing/synctest it is an http.RoundTripper too: it needs no network, and all its
// waiting is by timers and contexts. A Server is a Receiver at an address, which it may leave and come back to.
//
// A Profile is composed of small behaviours, and Set may change it at any time. A request passes them in this order:
//
//	Wire      gates that are asked before the body is read: no connection, connection reset. Its samples are not recorded
//	          (here the request is decoded and checked, and its samples are recorded as sent)
//	Slow      a pause. If the sender hangs up in it, nothing is stored
//	Faults    gates: an answer whatever the request holds
//	Versions  gates: the answer to messages that are not understood
//	Limits    gates: size and rate of requests
//	Rules     a verdict on each sample, histogram and exemplar
//	Atomic    whether one refusal refuses the whole request; if not, the rest is stored
//	Taken     the answer to a request of which nothing was refused. Refused is the answer to any other
//	After     what happens to the answer on its way back: latency, loss, compression. What was stored stays stored
//
// The first gate that answers ends the request, and nothing of it is stored. Gates, rules and conditions that have a state (First,
// Every, For, Rate, RefuseOnce) belong to one receiver: make another profile for another receiver.
//
// A sample is stored once. If it comes again, bit by bit the same, it is taken and counted as repeated.
package receiver
