package host

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// CodexInstall says how to register. ProfileOnly writes a profile and leaves
// config.toml alone. KeepDefault renews what is registered, without becoming the
// default provider again where the person has chosen another.
type CodexInstall struct {
	DryRun      bool
	ProfileOnly bool
	KeepDefault bool
}

// Install registers the provider and the MCP server through Codex's own config
// editor. Doing it again changes nothing, or renews what has become different.
// Nothing is changed without a Codex that can do it, or when a file does not
// parse.
func (c *Codex) Install(ctx context.Context, o CodexInstall) (Report, error) {
	r := Report{dryRun: o.DryRun}
	rec, err := c.readRecord()
	if err != nil {
		return r, err
	}
	if rec.Program, err = c.findProgram(rec); err != nil {
		return r, err
	}
	if o.ProfileOnly {
		err = c.installProfile(ctx, &r, rec)
	} else {
		err = c.installConfig(ctx, &r, rec, o.KeepDefault)
	}
	if err != nil {
		return r, err
	}
	if name := ProxyDetour(c.env); name != "" {
		r.note("%s is set: Codex would send what is for the front end to that proxy, prompts and key in clear. Type: export NO_PROXY='%s'", name, DirectNoProxy(c.env))
	}
	return r, c.noteLogin(&r)
}

func (c *Codex) installConfig(ctx context.Context, r *Report, rec codexRecord, keepDefault bool) error {
	f, err := readCodexFile(c.configPath())
	if err != nil {
		return err
	}
	if foreign := f.foreign(); foreign != "" {
		return fmt.Errorf("%s; rename it, then run it again", foreign)
	}
	fresh := len(f.undo(nil)) == 0
	edits := f.differing(c.Settings())
	if keepDefault && !fresh {
		edits = slices.DeleteFunc(edits, isDefault)
	}
	if len(edits) == 0 {
		return c.noteDetours(r, f)
	}
	out, err := c.editFile(ctx, rec.Program, f, edits)
	if err != nil {
		return err
	}
	old := rec
	rec.note(f, hash(out.text), fresh, slices.ContainsFunc(edits, isDefault))
	r.sayInstalled(c, f, fresh)
	r.change(f.path, f.text, out.text)
	if out.overridden != "" {
		r.note("Codex says of what was written: %s", out.overridden)
	}
	if err := c.put(r, f, out.text, rec, old, fresh && f.existed); err != nil {
		return err
	}
	return c.noteDetours(r, f)
}

func (r *Report) sayInstalled(c *Codex, f *codexFile, fresh bool) {
	switch {
	case !fresh:
		r.say("renew the provider %s in %s", codexName, f.path)
	case f.existed:
		r.say("add the provider %s to %s and make it the default, with a backup in %s", codexName, f.path, c.beside(backupName))
	default:
		r.say("make %s with the provider %s as the default", f.path, codexName)
	}
}

// editFile is edit for a file that may be written.
func (c *Codex) editFile(ctx context.Context, program string, f *codexFile, edits []CodexSetting) (edited, error) {
	if f.existed && f.perm&0o200 == 0 {
		return edited{}, fmt.Errorf("%s is read-only; make it writable, or register beside it: codex-rota install codex --profile-only", f.path)
	}
	return c.edit(ctx, program, f.path, f.text, edits)
}

// put writes the record, with a backup when asked for, and then the file: a crash
// between them leaves a record of what was not done, which harms nothing. Nothing
// of it stays when the file cannot be written.
func (c *Codex) put(r *Report, f *codexFile, text []byte, rec, old codexRecord, backup bool) error {
	if backup {
		if err := r.write(c.beside(backupName), f.text, 0o600); err != nil {
			return fmt.Errorf("the backup: %w", err)
		}
	}
	err := c.writeRecord(r, rec)
	if err == nil && !r.dryRun {
		err = f.unchanged()
	}
	if err == nil {
		err = r.write(f.path, text, f.perm)
	}
	if err == nil {
		return nil
	}
	if old.Schema == 0 {
		return errors.Join(err, c.forget(&Report{}))
	}
	return errors.Join(err, c.writeRecord(r, old))
}

const profileHead = "# Written by codex-rota install codex --profile-only; to use it: codex -p " + CodexProfile + "\n"

func (c *Codex) installProfile(ctx context.Context, r *Report, rec codexRecord) error {
	f, err := readCodexFile(c.profilePath())
	if err != nil {
		return err
	}
	if f.existed && (!f.hasProvider() || f.foreign() != "") {
		return fmt.Errorf("%s is a profile that is not ours; rename it, then run it again", f.path)
	}
	edits := f.differing(c.Settings())
	if len(edits) == 0 {
		return nil
	}
	out, err := c.editFile(ctx, rec.Program, f, edits)
	if err != nil {
		return err
	}
	if !f.existed {
		out.text = append([]byte(profileHead), out.text...)
	}
	old := rec
	if !f.existed || rec.Profile == hash(f.text) {
		rec.Profile = hash(out.text)
	}
	r.say("write the profile %s; to use it: codex -p %s", f.path, CodexProfile)
	r.change(f.path, f.text, out.text)
	return c.put(r, f, out.text, rec, old, false)
}

func isDefault(s CodexSetting) bool { return s.Key == keyDefault }
