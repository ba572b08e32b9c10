package cli

import (
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/google/jsonschema-go/jsonschema"
	"github.com/spf13/cobra"

	"codex-rota/plugin"
	"codex-rota/plugin/request"
	"codex-rota/rpc"
)

// manifest describes the plugin to any host (DESIGN 3). manifest.json in the
// repository is what `codex-rota manifest` prints; a test holds them together.
type manifest struct {
	Schema        int                  `json:"schema"`
	Name          string               `json:"name"`
	Version       string               `json:"version"`
	Protocol      int                  `json:"protocol"`
	Command       []string             `json:"command"`
	Framing       []string             `json:"framing"`
	Methods       []manifestMethod     `json:"methods"`
	Notifications []manifestMethod     `json:"notifications"`
	Errors        []rpc.ErrorCode      `json:"errors"`
	Settings      []plugin.SettingInfo `json:"settings"`
	Files         []manifestFile       `json:"files"`
	Network       []manifestNetwork    `json:"network"`
}

type manifestMethod struct {
	Name         string             `json:"name"`
	Description  string             `json:"description"`
	Notification bool               `json:"notification,omitempty"`
	Attachment   string             `json:"attachment,omitempty"`
	Params       *jsonschema.Schema `json:"params"`
	Result       *jsonschema.Schema `json:"result,omitempty"`
}

type manifestFile struct {
	Path  string `json:"path"`
	Holds string `json:"holds"`
}

type manifestNetwork struct {
	URL string `json:"url"`
	For string `json:"for"`
}

func (a *app) manifestCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "manifest",
		Short: "Print the description of the plugin for hosts (manifest.json)",
		RunE: func(*cobra.Command, []string) error {
			m, err := newManifest()
			if err != nil {
				return err
			}
			return printJSON(a.Out, m)
		},
	}
}

func newManifest() (*manifest, error) {
	m := &manifest{
		Schema: 1, Name: plugin.Name, Version: plugin.Version, Protocol: plugin.Protocol,
		Command: []string{"codex-rota", "serve"},
		Framing: []string{
			"Content-Length: N and optionally Attachment-Length: M, a blank line, N bytes of JSON, M raw bytes",
			"one JSON message a line; bodies travel as the string param body",
		},
		Errors: rpc.ErrorCodes(), Settings: plugin.SettingsInfo(), Files: manifestFiles(), Network: manifestDestinations(),
	}
	var err error
	if m.Methods, err = describeMethods(rpc.Methods()); err != nil {
		return nil, err
	}
	m.Notifications, err = describeMethods(rpc.Notifications())
	return m, err
}

func describeMethods(methods []rpc.Method) ([]manifestMethod, error) {
	out := make([]manifestMethod, 0, len(methods))
	for _, method := range methods {
		d := manifestMethod{Name: method.Name, Description: method.Description, Notification: method.Notification, Attachment: method.Attachment}
		var err error
		if d.Params, err = schemaOf(method.Params, true); err != nil {
			return nil, fmt.Errorf("%s: params: %w", method.Name, err)
		}
		if !method.Notification {
			if d.Result, err = schemaOf(method.Result, false); err != nil {
				return nil, fmt.Errorf("%s: result: %w", method.Name, err)
			}
		}
		out = append(out, d)
	}
	return out, nil
}

// schemaOf describes a message. Unknown params are ignored, so they are allowed;
// results may grow too.
func schemaOf(t reflect.Type, params bool) (*jsonschema.Schema, error) {
	schema, err := jsonschema.ForType(t, &jsonschema.ForOptions{TypeSchemas: map[reflect.Type]*jsonschema.Schema{
		reflect.TypeFor[plugin.CallID]():   {Types: []string{"string", "number"}},
		reflect.TypeFor[json.RawMessage](): {Description: "any JSON"},
		reflect.TypeFor[plugin.Header](): {Type: "array", Items: &jsonschema.Schema{Type: "string"},
			MinItems: jsonschema.Ptr(2), MaxItems: jsonschema.Ptr(2), Description: "[name, value]"},
		reflect.TypeFor[request.Edit](): {Type: "array", MinItems: jsonschema.Ptr(3), MaxItems: jsonschema.Ptr(3),
			Description: "[start, delete, text]: byte offsets into the body as it was sent",
			PrefixItems: []*jsonschema.Schema{{Type: "integer"}, {Type: "integer"}, {Type: "string"}}},
	}})
	if err != nil {
		return nil, err
	}
	open(schema)
	return schema, nil
}

// open lets objects have more properties than the ones described.
func open(s *jsonschema.Schema) {
	if s == nil {
		return
	}
	s.AdditionalProperties = nil
	for _, p := range s.Properties {
		open(p)
	}
	open(s.Items)
}

func manifestFiles() []manifestFile {
	var out []manifestFile
	for _, f := range plugin.OwnFiles() {
		out = append(out, manifestFile{f.Path, f.Holds})
	}
	return out
}

func manifestDestinations() []manifestNetwork {
	s := plugin.DefaultSettings()
	return []manifestNetwork{
		{s.Issuer, "login and token refresh; doctor asks whether it answers, without credentials"},
		{s.Backend, "model calls (sent by the host) and the usage endpoint; doctor asks whether it answers, without credentials"},
		{s.GitHubAPI, "the newest release of openai/codex, without credentials"},
		{s.GitHubRaw, "the instructions and the model catalogue of that release, without credentials"},
	}
}
