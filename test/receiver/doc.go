// Package receiver plays receivers of remote write, in memory, for tests of what the relay concludes from their answers.
//
// A Receiver is a store with its books and a Profile, which is what it does now and which Set may change at any time. It is an
// http.Handler and, for bubbles of testing/synctest, an http.RoundTripper: no network, all waiting by timers and contexts.
//
// A Profile is composed of small behaviours. A request meets them in this order:
//
//	Wire      gates, asked before the body is read: no connection, connection reset. The books know nothing of its samples
//	          Here the request is read, judged by the MUSTs of the specifications (Problems), and its samples are booked as sent
//	Slow      a pause. Who hangs up in it has nothing stored
//	Faults    gates: an answer whatever the request holds
//	Versions  gates: the answer to messages that are not understood
//	Limits    gates: size and rate of requests
//	Rules     a verdict for each sample, histogram and exemplar
//	Atomic    whether one refusal refuses the whole request; else the rest is stored
//	Taken     how a request of which nothing was refused is answered; Refused how one that was
//	After     what happens to any answer on its way back: latency, loss, compression. What was stored stays stored
//
// The first gate that answers ends the request, and nothing of it is stored. Gates, rules and what else has a state (First,
// Every, For, Rate, RefuseOnce) belong to one receiver: make another profile for another one.
//
// The store keeps a sample once: one that comes again, bit by bit the same, is taken and counted as repeated. The books know more than
// a receiver tells: of each sample how often it was sent and taken, and why it was refused, be it by itself or in company.
package receiver
