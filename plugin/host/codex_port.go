package host

import "context"

// MovePort changes where Codex expects the front end, in whatever is registered
// for this pool: a stranger sits on the port of before. A running Codex keeps the
// old one.
func (c *Codex) MovePort(ctx context.Context, port int) (Report, error) {
	r := Report{}
	rec, err := c.readRecord()
	if err != nil {
		return r, err
	}
	for _, path := range []string{c.configPath(), c.profilePath()} {
		f, err := readCodexFile(path)
		if err != nil {
			return r, err
		}
		if !f.hasProvider() || f.root() != c.root || len(f.differing(c.portSettings(port))) == 0 {
			continue
		}
		old := rec
		if rec.Program, err = c.findProgram(rec); err != nil {
			return r, err
		}
		out, err := c.editFile(ctx, rec.Program, f, f.differing(c.portSettings(port)))
		if err != nil {
			return r, err
		}
		switch hash(f.text) {
		case rec.After:
			rec.After = hash(out.text)
		case rec.Profile:
			rec.Profile = hash(out.text)
		}
		r.say("move the port in %s to %d", path, port)
		r.change(path, f.text, out.text)
		if err := c.put(&r, f, out.text, rec, old, false); err != nil {
			return r, err
		}
		rec.Schema = 1 // it is on disk
	}
	return r, nil
}

// portSettings are what a registration says of the port.
func (c *Codex) portSettings(port int) []CodexSetting {
	own := *c
	own.port = port
	var out []CodexSetting
	for _, s := range own.Settings() {
		if s.Key == keyBaseURL || s.Key == keyAuthArgs {
			out = append(out, s)
		}
	}
	return out
}
