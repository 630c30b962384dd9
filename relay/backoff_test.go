package relay

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestTryUntilDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		begin, calls := time.Now(), 0
		if !tryUntilDone(ctx, func(_ context.Context, attempt int) (time.Duration, bool) {
			if attempt != calls {
				t.Errorf("attempt %d, want %d", attempt, calls)
			}
			calls++
			return 2 * time.Second, attempt == 3
		}) || calls != 4 || time.Since(begin) != 6*time.Second {
			t.Errorf("%d calls in %s", calls, time.Since(begin))
		}
		if tryUntilDone(ctx, func(context.Context, int) (time.Duration, bool) { return time.Hour, false }) || time.Since(begin) != 10*time.Second {
			t.Errorf("it ends after %s", time.Since(begin))
		}
	})
}
