package sim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strings"
)

// modelRequest is what the checks read of a model call's body.
type modelRequest struct {
	Model         string          `json:"model"`
	Instructions  *string         `json:"instructions"`
	Input         []inputItem     `json:"input"`
	Store         *bool           `json:"store"`
	Stream        *bool           `json:"stream"`
	Include       []string        `json:"include"`
	Reasoning     *reasoning      `json:"reasoning"`
	Tools         json.RawMessage `json:"tools"`
	ParallelTools *bool           `json:"parallel_tool_calls"`
	CacheKey      string          `json:"prompt_cache_key"`
	Previous      string          `json:"previous_response_id"`
}

type reasoning struct {
	Effort  string `json:"effort"`
	Context string `json:"context"`
}

type inputItem struct {
	Type      string          `json:"type"`
	Role      string          `json:"role"`
	ID        string          `json:"id"`
	CallID    string          `json:"call_id"`
	Arguments *string         `json:"arguments"`
	Content   json.RawMessage `json:"content"`
	Output    json.RawMessage `json:"output"`
	Encrypted string          `json:"encrypted_content"`
}

const (
	encryptedContent = "reasoning.encrypted_content"
	headerLite       = "X-Openai-Internal-Codex-Responses-Lite"
	headerResidency  = "X-Openai-Internal-Codex-Residency"
	headerAccount    = "Chatgpt-Account-Id"
	headerTurnState  = "X-Codex-Turn-State"
	headerPlan       = "X-Codex-Plan-Type"
)

func (q *modelRequest) wantsReasoning() bool {
	return q.Reasoning != nil && q.Reasoning.Effort != "none" && slices.Contains(q.Include, encryptedContent)
}

func (q *modelRequest) hasEncrypted() bool {
	return slices.ContainsFunc(q.Input, func(it inputItem) bool { return it.Encrypted != "" })
}

// refusal is a failed check: why, for the report, and what the caller is told,
// which is less where the real backend is terse.
type refusal struct {
	why    string
	answer answer
}

func refused(why, text string) *refusal { return &refusal{why, detail(400, text)} }

// judgeHeaders checks the headers of a model call (FACTS-upstream 3).
func judgeHeaders(h http.Header) *refusal {
	if r := judgeMedia(h); r != nil {
		return r
	}
	if !strings.Contains(h.Get("Accept"), "text/event-stream") {
		return refused("accept is not text/event-stream", "Accept must include text/event-stream")
	}
	return nil
}

func judgeMedia(h http.Header) *refusal {
	if media, _, _ := mime.ParseMediaType(h.Get("Content-Type")); media != "application/json" {
		return refused("content-type is not application/json", "Input must be a valid dictionary") // misleading there too
	}
	return nil
}

// strayHeaders are those that a client must not send on; the backend ignores them.
func strayHeaders(h http.Header) []string {
	var notes []string
	for name := range h {
		switch lower := strings.ToLower(name); {
		case slices.Contains([]string{"cookie", "x-api-key", "openai-organization", "openai-project", "b3", "traceparent", "tracestate", "x-opencode-title", "x-parent-session-id"}, lower),
			strings.HasPrefix(lower, "x-session-"):
			notes = append(notes, "stray header "+lower)
		}
		if len(h[name]) > 1 {
			notes = append(notes, "header "+strings.ToLower(name)+" is sent twice")
		}
	}
	slices.Sort(notes)
	return notes
}

// judgeBody checks a model call's body. fromCodex says that the official client
// wrote it: its item ids are its own and fine.
func judgeBody(body []byte, lite, fromCodex bool) (*modelRequest, []string, *refusal) {
	var fields map[string]json.RawMessage
	if json.Unmarshal(body, &fields) != nil || fields == nil {
		return nil, nil, refused("the body is no JSON object", "Input must be a valid dictionary")
	}
	q := &modelRequest{}
	if err := json.Unmarshal(body, q); err != nil {
		return nil, nil, refused("a field has the wrong type: "+err.Error(), "Invalid type for a field of the request")
	}
	if !bytes.HasPrefix(bytes.TrimSpace(fields["input"]), []byte("[")) {
		return q, nil, refused("input is no list", "Input must be a list")
	}
	for _, check := range []func() *refusal{
		func() *refusal { return judgeParameters(q, fields) },
		func() *refusal { return judgeItems(q.Input, fromCodex) },
		func() *refusal { return judgePairs(q.Input) },
		func() *refusal { return judgeLite(q, fields, lite) },
	} {
		if r := check(); r != nil {
			return q, nil, r
		}
	}
	var notes []string
	if !slices.Contains(q.Include, encryptedContent) {
		notes = append(notes, "include has no "+encryptedContent+": reasoning is lost after this turn")
	}
	if q.Previous != "" {
		notes = append(notes, "previous_response_id names a response that was not stored")
	}
	return q, notes, nil
}

// judgeParameters checks the fields beside the input.
func judgeParameters(q *modelRequest, fields map[string]json.RawMessage) *refusal {
	switch {
	case q.Store == nil || *q.Store:
		return refused("store is not false", "Store must be set to false")
	case q.Stream == nil || !*q.Stream:
		return refused("stream is not true", "Stream must be set to true")
	case q.Model == "":
		return refused("no model", "Model is required")
	}
	if why := unknownModel(q.Model); why != "" {
		return refused(why, unsupportedModel(q.Model))
	}
	params := []string{"max_output_tokens", "max_completion_tokens", "prompt_cache_retention", "safety_identifier"}
	if findModel(q.Model) != nil { // every model of the catalogue reasons
		params = append(params, "temperature", "top_p")
	}
	for _, p := range params {
		if fields[p] != nil {
			return refused("parameter "+p, "Unsupported parameter: "+p)
		}
	}
	leading := len(q.Input) > 0 && (q.Input[0].Role == "developer" || q.Input[0].Role == "system" || q.Input[0].Type == "additional_tools")
	if (q.Instructions == nil || *q.Instructions == "") && !leading {
		return refused("neither instructions nor a leading developer, system or additional_tools item", "Instructions are required")
	}
	return nil
}

// unknownModel tells what a rewriter left in a model's name. Other names outside
// the catalogue pass: new models come every month.
func unknownModel(model string) string {
	if strings.Contains(model, "/") {
		return "the model has a provider prefix"
	}
	if i := strings.LastIndexByte(model, '-'); i > 0 && slices.Contains(efforts, model[i+1:]) && findModel(model) == nil && findModel(model[:i]) != nil {
		return "the model's name ends in an effort"
	}
	return ""
}

func unsupportedModel(model string) string {
	return fmt.Sprintf("The '%s' model is not supported when using Codex with a ChatGPT account.", model)
}

// judgeItems refuses what points to items that store:false never kept.
func judgeItems(items []inputItem, fromCodex bool) *refusal {
	for i, it := range items {
		switch {
		case it.Type == "item_reference" || it.ID != "" && !fromCodex:
			return &refusal{fmt.Sprintf("input[%d] names a stored item", i), apiError(400, "invalid_request_error", "", fmt.Sprintf(
				"Item with id '%s' not found. Items are not persisted when `store` is set to false. Try again with `store` set to true, or remove this item from your input.", it.ID))}
		case it.Type == "function_call" && it.Arguments == nil:
			return &refusal{fmt.Sprintf("input[%d] has no arguments", i), apiError(400, "invalid_request_error", "missing_required_parameter",
				fmt.Sprintf("Missing required parameter: 'input[%d].arguments'.", i))}
		}
	}
	return nil
}

// judgePairs wants an output after each call and a call before each output. What
// has no call_id is left alone, as Codex sends such items.
func judgePairs(items []inputItem) *refusal {
	answers := map[string][]string{ // type of a call: types that answer it
		"function_call":    {"function_call_output"},
		"custom_tool_call": {"custom_tool_call_output"},
		"local_shell_call": {"local_shell_call_output", "function_call_output"},
	}
	open := map[string]string{} // call_id: type of the call
	var order []string
	for _, it := range items {
		if it.CallID == "" {
			continue
		}
		if answers[it.Type] != nil {
			open[it.CallID] = it.Type
			order = append(order, it.CallID)
			continue
		}
		if call, isOutput := strings.CutSuffix(it.Type, "_output"); isOutput && answers[call] != nil {
			if !slices.Contains(answers[open[it.CallID]], it.Type) {
				return &refusal{"the output of " + it.CallID + " has no call before it", apiError(400, "invalid_request_error", "",
					fmt.Sprintf("No tool call found for %s with call_id %s.", strings.ReplaceAll(it.Type, "_", " "), it.CallID))}
			}
			delete(open, it.CallID)
		}
	}
	for _, id := range order {
		if call := open[id]; call != "" {
			return &refusal{"the call " + id + " has no output", apiError(400, "invalid_request_error", "",
				fmt.Sprintf("No tool output found for %s %s.", strings.ReplaceAll(call, "_", " "), id))}
		}
	}
	return nil
}

// judgeLite holds the body's shape against the lite header: both or neither.
func judgeLite(q *modelRequest, fields map[string]json.RawMessage, lite bool) *refusal {
	shaped := len(q.Input) > 0 && q.Input[0].Type == "additional_tools"
	why := ""
	switch {
	case !lite && !shaped:
		return nil
	case !lite:
		why = "additional_tools without the lite header"
	case findModel(q.Model) == nil || !findModel(q.Model).Lite:
		why = "the lite header for a model that is not lite"
	case !shaped || q.Input[0].Role != "developer":
		why = "the first item is not additional_tools of the developer"
	case len(q.Input) < 2 || q.Input[1].Role != "developer":
		why = "no developer message after additional_tools"
	case q.Instructions != nil && *q.Instructions != "":
		why = "instructions beside the lite shape"
	case fields["tools"] != nil:
		why = "tools beside the lite shape"
	case q.ParallelTools == nil || *q.ParallelTools:
		why = "parallel_tool_calls is not false"
	case q.Reasoning == nil || q.Reasoning.Context != "all_turns":
		why = "reasoning.context is not all_turns"
	case slices.ContainsFunc(q.Input, func(it inputItem) bool { return hasImageDetail(it.Content) || hasImageDetail(it.Output) }):
		why = "an input image has a detail"
	default:
		return nil
	}
	return refused("lite: "+why, "Invalid request")
}

// hasImageDetail looks into a list of content parts; a plain string has none.
func hasImageDetail(content json.RawMessage) bool {
	var parts []struct {
		Type   string          `json:"type"`
		Detail json.RawMessage `json:"detail"`
	}
	if json.Unmarshal(content, &parts) != nil {
		return false
	}
	for _, p := range parts {
		if p.Type == "input_image" && p.Detail != nil {
			return true
		}
	}
	return false
}
