package config

import (
	"fmt"
	"reflect"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/discovery"
)

// RefreshInterval is the refresh interval of a service discovery; false if it has none.
func RefreshInterval(sd discovery.Config) (time.Duration, bool) {
	v := reflect.Indirect(reflect.ValueOf(sd))
	if v.Kind() != reflect.Struct {
		return 0, false
	}
	f := v.FieldByName("RefreshInterval")
	if !f.IsValid() || f.Kind() != reflect.Int64 {
		return 0, false
	}
	return time.Duration(f.Int()), true
}

// BadRefreshInterval says what is wrong with the refresh interval of a service discovery; empty for nothing. Prometheus accepts values that
// make its discoverers panic, some of them in goroutines where nobody can recover. Mechanisms are known by their names and not by their
// types, because the packages of these bring SDKs that a build can leave out.
func BadRefreshInterval(sd discovery.Config) string {
	every, ok := RefreshInterval(sd)
	if !ok || sd.Name() == "aws" { // for AWS, 0 means the default of the role, and nothing smaller can be written
		return ""
	}
	switch d := model.Duration(every); {
	case d <= 0:
		return fmt.Sprintf("%s: want more than 0", d)
	case sd.Name() == "azure" && time.Duration(3*d).Seconds() < 1: // what it divides by; it overflows, too
		return fmt.Sprintf("%s: want one from 334ms to 97y", d)
	}
	return ""
}
