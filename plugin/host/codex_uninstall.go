package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// CodexUninstall says what to undo; ProfileOnly leaves config.toml alone.
type CodexUninstall struct {
	DryRun      bool
	ProfileOnly bool
}

// Uninstall undoes Install: config.toml byte for byte if nobody touched it since,
// which needs no Codex; else what is ours goes, through Codex's own editor, and
// the person's edits stay. The default provider of before comes back unless the
// person has chosen another since.
func (c *Codex) Uninstall(ctx context.Context, o CodexUninstall) (Report, error) {
	r := Report{dryRun: o.DryRun}
	rec, err := c.readRecord()
	if err != nil {
		return r, err
	}
	if !o.ProfileOnly {
		if err := c.uninstallConfig(ctx, &r, rec); err != nil {
			return r, err
		}
	}
	if err := c.uninstallProfile(&r, rec); err != nil {
		return r, err
	}
	if o.ProfileOnly && rec.Config {
		return r, nil
	}
	return r, c.forget(&r)
}

func (c *Codex) uninstallConfig(ctx context.Context, r *Report, rec codexRecord) error {
	f, err := readCodexFile(c.configPath())
	if err != nil {
		return err
	}
	if foreign := f.foreign(); foreign != "" {
		r.note("%s, and is left as it is", foreign)
	}
	edits := f.undo(rec.Provider)
	if len(edits) == 0 {
		return nil
	}
	if f.perm&0o200 == 0 {
		return fmt.Errorf("%s is read-only; make it writable and run it again", f.path)
	}
	if before, ok := c.backup(rec, f.text); ok {
		return restore(r, f, before, "restore %s as it was")
	}
	program, err := c.findProgram(rec)
	if errors.Is(err, ErrNoCodex) {
		return fmt.Errorf("%s was edited since, so the Codex CLI is needed to take our part out, and it is not in PATH; install it, or delete by hand: %s", f.path, named(edits))
	}
	if err != nil {
		return err
	}
	out, err := c.edit(ctx, program, f.path, f.text, edits)
	if err != nil {
		return err
	}
	if rec.Made && len(bytes.TrimSpace(out.text)) == 0 {
		out.text = nil
	}
	return restore(r, f, out.text, "take our part out of %s")
}

// named are the keys of edits, for a person.
func named(edits []CodexSetting) string {
	var keys []string
	for _, e := range edits {
		switch {
		case e.Value != nil:
			keys = append(keys, "set "+e.String())
		case strings.Contains(e.Key, "."):
			keys = append(keys, "["+e.Key+"]")
		default:
			keys = append(keys, e.Key)
		}
	}
	return strings.Join(keys, ", ")
}

// restore puts text in place of the file; nil removes it.
func restore(r *Report, f *codexFile, text []byte, saying string) error {
	if text == nil {
		saying = "remove %s, which install made"
	}
	r.say(saying, f.path)
	r.change(f.path, f.text, text)
	if r.dryRun {
		return nil
	}
	if err := f.unchanged(); err != nil {
		return err
	}
	if text == nil {
		return r.remove(f.path)
	}
	return r.write(f.path, text, f.perm)
}

// uninstallProfile removes the profile as Install left it, and nothing else.
func (c *Codex) uninstallProfile(r *Report, rec codexRecord) error {
	text, err := os.ReadFile(c.profilePath())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("the profile: %w", err)
	}
	if rec.Profile != hash(text) {
		r.note("%s is not what install wrote, and is left as it is; delete it if you do not need it", c.profilePath())
		return nil
	}
	r.say("remove %s", c.profilePath())
	return r.remove(c.profilePath())
}
