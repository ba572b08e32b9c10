package response

import (
	"fmt"
	"testing"
	"time"
)

// now is the moment at which every test's answer arrives.
var now = time.UnixMilli(1800000000000).UTC()

// in reads a duration and gives the moment that far from now.
func in(s string) time.Time {
	d, err := time.ParseDuration(s)
	if err != nil {
		panic(err)
	}
	return now.Add(d)
}

// TestEveryCode holds each code of FACTS-upstream 4 to its class at any status
// and in every body shape. Where a code means the same as its status would, the
// other statuses show that it is the code that counts.
func TestEveryCode(t *testing.T) {
	codes := map[string]Class{
		"usage_limit_reached":                      ClassQuota,
		"insufficient_quota":                       ClassQuota,
		"quota_exceeded":                           ClassQuota,
		"subscription_sharing_usage_limit_reached": ClassQuota,
		"rate_limit_exceeded":                      ClassRateLimit,
		"tokens_exhausted":                         ClassRateLimit,
		"tpm_limit":                                ClassRateLimit,
		"rpm_exceeded":                             ClassRateLimit,
		"concurrent_request_limit":                 ClassRateLimit,
		"usage_not_included":                       ClassEntitlement,
		"server_is_overloaded":                     ClassOverload,
		"service_unavailable_error":                ClassOverload,
		"slow_down":                                ClassOverload,
		"deactivated_workspace":                    ClassWorkspace,
		"workspace_disabled":                       ClassWorkspace,
		"account_deactivated":                      ClassWorkspace,
		"model_not_found":                          ClassModel,
		"invalid_encrypted_content":                ClassEncryptedContent,
		"context_length_exceeded":                  ClassOther,
		"invalid_token":                            ClassAuth,
		"token_expired":                            ClassAuth,
		"token_invalidated":                        ClassAuthRevoked,
		"token_revoked":                            ClassAuthRevoked,
		"refresh_token_reused":                     ClassAuthRevoked,
		"refresh_token_invalidated":                ClassAuthRevoked,
	}
	shapes := map[string]string{
		"error code":            `{"error":{"code":%q,"message":"m"}}`,
		"error type":            `{"error":{"message":"m","type":%q}}`,
		"error type, null code": `{"error":{"message":"m","type":%q,"code":null}}`,
		"detail code":           `{"detail":{"code":%q}}`,
		"detail word":           `{"detail":%q}`,
		"error word":            `{"error":%q}`,
		"error word and code":   `{"error":"invalid_grant","code":%q}`,
		"top level":             `{"type":"error","code":%q,"message":"m"}`,
		"bare word":             `%q`,
		"SSE failed":            "event: response.failed\ndata: {\"type\":\"response.failed\",\"response\":{\"error\":{\"code\":%q,\"message\":\"m\"}}}\n\n",
		"SSE error, nested":     "data: {\"type\":\"error\",\"error\":{\"code\":%q}}\n\n",
		"SSE error, flat":       "event: error\ndata: {\"code\":%q,\"message\":\"m\"}\n\n",
		"SSE without its end":   "event: error\ndata: {\"type\":\"error\",\"code\":%q}",
		"cut JSON":              `{"error":{"code":%q,"message":"and then the 64 KiB were`,
		"upper case, BOM":       "\xef\xbb\xbf \n" + `{"error":{"code":%q}}`,
	}
	for code, want := range codes {
		for shape, format := range shapes {
			for _, status := range []int{400, 401, 402, 403, 404, 429, 500, 503} {
				t.Run(fmt.Sprintf("%s/%s/%d", code, shape, status), func(t *testing.T) {
					out := Classify(status, nil, fmt.Appendf(nil, format, code), now)
					if out.Class != want {
						t.Errorf("class %q, want %q", out.Class, want)
					}
					if out.Code != code || out.Status != status || out.InStream {
						t.Errorf("outcome %+v", out)
					}
				})
			}
		}
	}
}

func TestClassOf(t *testing.T) {
	const gone = `"resets_in_seconds":90`
	tests := []struct {
		name    string
		status  int
		headers []Header
		body    string
		want    Class
	}{
		{"empty 400", 400, nil, "", ClassOther},
		{"empty 401", 401, nil, "", ClassAuth},
		{"empty 402", 402, nil, "", ClassOther},
		{"empty 403", 403, nil, "", ClassOther},
		{"HTML 403", 403, nil, "<html>Just a moment…</html>", ClassOther},
		{"empty 404", 404, nil, "", ClassOther},
		{"empty 408", 408, nil, "", ClassOther},
		{"empty 429", 429, nil, "", ClassRateLimit},
		{"HTML 429", 429, nil, "<html>usage_limit_reached</html>", ClassRateLimit},
		{"unknown code at 429", 429, nil, `{"error":{"code":"odd","message":"m"}}`, ClassRateLimit},
		{"529", 529, nil, "", ClassOverload},
		{"redirect", 302, nil, "", ClassOther},
		{"no status", 0, nil, "", ClassOther},
		{"text 500", 500, nil, "upstream connect error", ClassOverload},
		{"unknown code at 500", 500, nil, `{"error":{"code":"odd"}}`, ClassOverload},

		{"429 with an exhausted window", 429, primary("100", "300", "60"), "", ClassQuota},
		{"429 with a window almost exhausted", 429, primary("99.9", "300", "60"), "", ClassRateLimit},
		{"429 with a disabled window", 429, primary("100", "0", "60"), "", ClassRateLimit},
		{"rate limit by code, although a window is exhausted", 429, primary("100", "300", "60"), `{"error":{"code":"rate_limit_exceeded"}}`, ClassRateLimit},
		{"400 with an exhausted window", 400, primary("100", "300", "60"), "", ClassOther},
		{"429 with quota's fields, no code", 429, nil, `{"error":{"message":"m",` + gone + `}}`, ClassQuota},
		{"429 with quota's words", 429, nil, `{"detail":"You have hit your usage limit."}`, ClassQuota},
		{"400 with quota's fields, no code", 400, nil, `{"error":{"message":"m",` + gone + `}}`, ClassOther},

		{"not in the plan, whatever the case", 429, nil, `{"error":{"message":"Codex is NOT INCLUDED in your plan"}}`, ClassEntitlement},
		{"not included in your plan", 429, nil, `{"error":{"type":"rate_limit_exceeded","message":"This is not included in your plan"}}`, ClassEntitlement},
		{"not included in your plan, as detail", 403, nil, `{"detail":"Codex is not included in your plan."}`, ClassEntitlement},
		{"model, by message at 404", 404, nil, `{"error":{"message":"The 'gpt-9' model is not supported when using Codex with a ChatGPT account."}}`, ClassModel},
		{"another parameter that is not supported", 400, nil, `{"error":{"code":"unsupported_value","message":"effort 'none' is not supported with this model"}}`, ClassOther},
		{"revoked, by message at 403", 403, nil, `{"detail":"Your authentication token has been invalidated. Please sign in again."}`, ClassAuthRevoked},
		{"revoked, by message beside an expiry's code", 401, nil, `{"error":{"code":"token_expired","message":"Your token has been invalidated"}}`, ClassAuthRevoked},

		{"server_error twice, detail object", 400, nil, `{"detail":{"code":"server_error","type":"server_error"}}`, ClassOverload},
		{"server_error as type only", 400, nil, `{"error":{"type":"server_error","code":"odd"}}`, ClassOther},
		{"server_error without a type", 400, nil, `{"error":{"code":"server_error"}}`, ClassOther},

		{"quota before rate limit", 429, nil, `{"error":{"type":"usage_limit_reached","code":"rate_limit_exceeded"}}`, ClassQuota},
		{"entitlement before quota", 429, nil, `{"error":{"type":"usage_limit_reached","code":"usage_not_included"}}`, ClassEntitlement},
		{"overload before rate limit", 429, nil, `{"error":{"type":"rate_limit_error","code":"slow_down"}}`, ClassOverload},
		{"outer code counts too", 400, nil, `{"error":{"message":"m"},"code":"usage_limit_reached"}`, ClassQuota},
		{"a number for a code", 400, nil, `{"error":{"code":400,"message":"m"}}`, ClassOther},
		{"a list", 400, nil, `[{"code":"usage_limit_reached"}]`, ClassOther},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if out := Classify(tt.status, tt.headers, []byte(tt.body), now); out.Class != tt.want {
				t.Errorf("class %q, want %q", out.Class, tt.want)
			}
		})
	}
}

func TestRefusalFields(t *testing.T) {
	out := Classify(429, []Header{{"X-Codex-Plan-Type", "Plus"}},
		[]byte(`{"error":{"type":"usage_limit_reached","code":null,"message":"The usage limit has been reached","plan_type":"team"}}`), now)
	if out.Code != "usage_limit_reached" || out.Message != "The usage limit has been reached" || out.Plan != "plus" {
		t.Errorf("outcome %+v", out)
	}
	out = Classify(400, nil, []byte(`{"error":"invalid_grant","error_description":"no longer valid","code":"refresh_token_reused","plan_type":"Team"}`), now)
	if out.Code != "refresh_token_reused" || out.Message != "no longer valid" || out.Plan != "team" {
		t.Errorf("outcome %+v", out)
	}
	out = Classify(502, nil, []byte("upstream connect error"), now)
	if out.Message != "upstream connect error" || out.Code != "" {
		t.Errorf("outcome %+v", out)
	}
	out = Classify(401, nil, []byte(`{"detail":"Unauthorized"}`), now)
	if out.Message != "Unauthorized" || out.Code != "" {
		t.Errorf("outcome %+v", out)
	}
}

func TestNamedModel(t *testing.T) {
	for message, want := range map[string]string{
		"The 'gpt-5.3-codex' model is not supported when using Codex with a ChatGPT account.": "gpt-5.3-codex",
		"The model `gpt-6-astra` does not exist or you do not have access to it.":             "gpt-6-astra",
		`Model "openai/gpt-5:beta" was not found`:                                             "openai/gpt-5:beta",
		"You don't have the 'gpt-9' model":                                                    "gpt-9",
		"The model gpt-5.5. It is gone":                                                       "gpt-5.5",
		"This model is not supported when using Codex with a ChatGPT account.":                "",
		"the model":             "",
		"an 'unclosed quote":    "",
		"It says 'two words' 5": "",
		"":                      "",
	} {
		if got := namedModel(message); got != want {
			t.Errorf("%q names %q, want %q", message, got, want)
		}
	}
	for _, body := range []string{
		`{"detail":"The 'gpt-9' model is not supported when using Codex with a ChatGPT account."}`,
		`{"error":{"code":"model_not_found","message":"The model 'gpt-9' does not exist"}}`,
		`{"error":{"code":"usage_not_included","message":"'gpt-9' is not in it"}}`,
	} {
		if out := Classify(400, nil, []byte(body), now); out.Model != "gpt-9" {
			t.Errorf("%s: model %q", body, out.Model)
		}
	}
	if out := Classify(400, nil, []byte(`{"error":{"message":"'gpt-9' takes no 'temperature'"}}`), now); out.Model != "" {
		t.Errorf("another refusal names %q", out.Model)
	}
}
