package receiver

import (
	"fmt"
	"net/http"
	"time"
)

// The texts come from the sources of these projects.

const notAccepted = "%v protobuf message is not accepted by this server; only accepts %v"

func onlyVersion1(text string) Gate { return Status(http.StatusUnsupportedMediaType, text).When(By(2)) }

func by1(version int) bool { return version == 1 }

// Prometheus20 is Prometheus 3 with both versions and no out-of-order window: what is refused by 2.0 is told exactly and the rest is
// stored; by 1.0 nothing of the request is stored, and exemplars out of order are not told of.
func Prometheus20() Profile {
	return Profile{
		Name: "Prometheus",
		Limits: []Gate{TooLarge(Size{Bytes: 32 << 20}, http.StatusBadRequest, func(_ string, _, limit int) string {
			return fmt.Sprintf("decoded size exceeds the %d bytes limit", limit)
		})},
		Rules:   []Rule{Bounds(time.Hour, 10*time.Minute), InOrder(), ExemplarsInOrder(by1)},
		Atomic:  by1,
		Refused: Tell(http.StatusBadRequest, Right, prometheusText),
	}
}

// Cortex is Cortex as it comes: it understands 1.0 alone.
func Cortex() Profile {
	return CortexTakes20().With(Named("Cortex"), Version(onlyVersion1(fmt.Sprintf(notAccepted, "io.prometheus.write.v2.Request", "prometheus.WriteRequest"))))
}

// CortexTakes20 is Cortex with 2.0 on. What its distributor refuses is told right; what its ingesters refuse is told as if nothing were stored.
func CortexTakes20() Profile {
	right, zero := Tell(http.StatusBadRequest, Right, cortexText), Tell(http.StatusBadRequest, Zero, cortexText)
	taken := Tell(http.StatusNoContent, Right, nil)
	return Profile{
		Name:   "Cortex, 2.0 on",
		Limits: []Gate{CortexTooLarge(100 << 20), exemplarsAlone()},
		Rules:  []Rule{InOrder(), ExemplarsInOrder(nil)},
		Taken: func(o Outcome) *Answer {
			if o.Version == 1 {
				return plain(http.StatusOK, "")
			}
			return taken(o)
		},
		Refused: func(o Outcome) *Answer {
			if o.has(OutOfOrder, Duplicate, BeforeAll, TooOld, TooNew, SeriesLimit) {
				return zero(o)
			}
			return right(o)
		},
	}
}

// exemplarsAlone is Cortex's refusal of a series of 2.0 without a sample.
func exemplarsAlone() Gate {
	return Gate{"series with exemplars alone", func(q *Request) *Answer {
		for _, s := range q.Series {
			if q.Version == 2 && len(s.Samples) == 0 {
				return plain(http.StatusBadRequest, "TimeSeries must contain at least one sample or histogram for series "+s.Name)
			}
		}
		return nil
	}}
}

// CortexTooLarge refuses requests of more bytes as Cortex does.
func CortexTooLarge(bytes int) Gate {
	return TooLarge(Size{Bytes: bytes}, http.StatusBadRequest, func(_ string, have, limit int) string {
		return fmt.Sprintf("received message larger than max (%d vs %d)", have, limit)
	})
}

// CortexRate is Cortex's limit of samples and metadata a second, without Retry-After.
func CortexRate(perSecond float64, burst int) Gate {
	return Rate(Pace{PerSecond: perSecond, Burst: burst, Metadata: true, Claim: Zero, Text: func(q *Request, _ int) string {
		return fmt.Sprintf("ingestion rate limit (%v) exceeded while adding %d samples and %d metadata", perSecond, q.Sent.Samples(), q.Metadata)
	}})
}

// NoOrgID is the answer of Cortex and Mimir to a request without a tenant.
func NoOrgID() Gate { return Status(http.StatusUnauthorized, "no org id") }

// Mimir takes both versions. Its headers claim all, whatever was refused.
func Mimir() Profile {
	return Profile{
		Name:    "Mimir",
		Limits:  []Gate{MimirTooLarge(100 << 20)},
		Rules:   []Rule{Bounds(0, 10*time.Minute), InOrder(), ExemplarsInOrder(nil)},
		Taken:   Tell(http.StatusOK, All, nil),
		Refused: Tell(http.StatusBadRequest, All, mimirText),
	}
}

// MimirTooLarge refuses requests of more bytes as Mimir does.
func MimirTooLarge(bytes int) Gate {
	return TooLarge(Size{Bytes: bytes}, http.StatusBadRequest, func(_ string, have, limit int) string {
		return fmt.Sprintf("the incoming push request has been rejected because its message size of %d bytes (uncompressed) is larger than the allowed limit of %d bytes (err-mimir-distributor-max-write-message-size). To adjust the related limit, configure -distributor.max-recv-msg-size, or contact your service administrator.", have, limit)
	})
}

// MimirRate is Mimir's limit of samples and metadata a second: Retry-After grows with Retry-Attempt, and the headers claim all.
func MimirRate(perSecond float64, burst int) Gate {
	return Rate(Pace{PerSecond: perSecond, Burst: burst, Metadata: true, Claim: All, RetryAfter: GrowingRetryAfter, Text: func(_ *Request, items int) string {
		const form = "the request has been rejected because the tenant exceeded the ingestion %s. This limit is applied on the total number of samples, exemplars and metadata received across all distributors (err-mimir-tenant-max-ingestion-rate). To adjust the related per-tenant limits, configure -distributor.ingestion-rate-limit and -distributor.ingestion-burst-size, or contact your service administrator."
		if items > burst {
			return fmt.Sprintf(form, fmt.Sprintf("burst size limit, set to %d, with %d items", burst, items))
		}
		return fmt.Sprintf(form, fmt.Sprintf("rate limit, set to %v items/s with a maximum allowed burst of %d", perSecond, burst))
	}})
}

// Thanos is Thanos receive: 1.0, and 409 for what its storage refuses. To 2.0 it answers 200, and stores nothing.
func Thanos() Profile {
	return Profile{
		Name:     "Thanos",
		Versions: []Gate{Status(http.StatusOK, "").When(By(2))},
		Rules:    []Rule{InOrder(), ExemplarsInOrder(nil)},
		Taken:    Tell(http.StatusOK, Absent, nil),
		Refused:  Tell(http.StatusConflict, Absent, thanosText),
	}
}

// ThanosLimits refuses larger requests as Thanos does.
func ThanosLimits(s Size) Gate {
	return TooLarge(s, http.StatusRequestEntityTooLarge, func(what string, _, _ int) string {
		return map[string]string{"bytes": "write request too large", "series": "too many timeseries", "samples": "too many samples"}[what]
	})
}

// VictoriaMetrics takes 1.0 and everything in it, in any order. To 2.0 it answers 204, and stores nothing.
func VictoriaMetrics() Profile {
	return Profile{Name: "VictoriaMetrics", Versions: []Gate{Status(http.StatusNoContent, "").When(By(2))}}
}

// Nightingale takes 1.0 and puts everything into its queue; QueueFull is when that is full. To 2.0 it answers 200, and stores nothing.
func Nightingale() Profile {
	return Profile{Name: "Nightingale", Versions: []Gate{Status(http.StatusOK, "").When(By(2))}, Taken: Tell(http.StatusOK, Absent, nil)}
}

// NightingaleProxy is its /proxy/v1/write: 200 to anything, while its store takes nothing.
func NightingaleProxy() Profile {
	return Profile{Name: "Nightingale, proxy", Faults: []Gate{Status(http.StatusOK, "")}}
}

// OpenGemini takes 1.0, and answers 400 to 2.0.
func OpenGemini() Profile {
	refuse := Gate{"400 to 2.0", func(*Request) *Answer {
		const text = "timeseries have no sample"
		a := &Answer{Status: http.StatusBadRequest, Text: fmt.Sprintf("{\"error\":%q}\n", text)}
		return a.set("Content-Type", "application/json").set("X-Influxdb-Error", text)
	}}
	return Profile{Name: "openGemini", Versions: []Gate{refuse.When(By(2))}}
}

// OTelCollector takes 2.0 alone, and tells nothing of exemplars.
func OTelCollector() Profile {
	taken := Tell(http.StatusNoContent, Right, nil)
	return Profile{
		Name:     "OTel collector",
		Versions: []Gate{Status(http.StatusUnsupportedMediaType, "Unsupported proto version").When(By(1))},
		Taken: func(o Outcome) *Answer {
			return taken(o).set("X-Prometheus-Remote-Write-Exemplars-Written", "0")
		},
	}
}
