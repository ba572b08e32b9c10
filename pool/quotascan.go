package pool

// scanBook is decodeBook for a file as this program writes it: it is read at
// every start of a process, and again whenever another one wrote it. It reports
// false for anything else. A name that comes twice in one object is for
// encoding/json too.
func scanBook(data []byte) (bookFormat, bool) {
	s := scan{data: data}
	var file bookFormat
	turned := false
	s.object(func(name []byte) {
		switch string(name) {
		case "version":
			file.Version = int(s.integer())
		case "accounts":
			s.once(file.Accounts == nil)
			file.Accounts = map[string]Facts{}
			s.table(func(id string) { file.Accounts[id] = s.facts() })
		case "sessions":
			s.once(file.Sessions == nil)
			file.Sessions = map[string]session{}
			s.table(func(id string) { file.Sessions[id] = s.session() })
		case "turn":
			s.once(!turned)
			file.Turn, turned = s.turn(), true
		default:
			s.fail()
		}
	})
	s.end()
	return file, !s.failed && file.Version == bookVersion
}

// once fails unless this is the first time.
func (s *scan) once(first bool) {
	if !first {
		s.fail()
	}
}

func (s *scan) facts() Facts {
	var f Facts
	s.object(func(name []byte) {
		switch string(name) {
		case "windows":
			s.once(f.Windows == nil)
			f.Windows = make([]Window, 0, 2) // the 5-hour and the weekly one
			s.list(func() { f.Windows = append(f.Windows, s.window()) })
		case "blocks":
			s.once(f.Blocks == nil)
			f.Blocks = []Block{}
			s.list(func() { f.Blocks = append(f.Blocks, s.block()) })
		case "plan":
			f.Plan = s.text()
		case "planAt":
			f.PlanAt = s.time()
		case "lastUsed":
			f.LastUsed = s.time()
		case "lastProbe":
			f.LastProbe = s.time()
		case "lastFailure":
			f.LastFailure = s.time()
		case "lastReason":
			f.LastReason = s.text()
		case "strain":
			f.Strain = s.float()
		case "strainAt":
			f.StrainAt = s.time()
		default:
			s.fail()
		}
	})
	return f
}

func (s *scan) window() Window {
	var w Window
	s.object(func(name []byte) {
		switch string(name) {
		case "name":
			w.Name = s.text()
		case "usedPercent":
			w.UsedPercent = s.float()
		case "windowMinutes":
			w.WindowMinutes = int(s.integer())
		case "resetAt":
			w.ResetAt = s.time()
		case "observedAt":
			w.ObservedAt = s.time()
		default:
			s.fail()
		}
	})
	return w
}

func (s *scan) block() Block {
	var b Block
	s.object(func(name []byte) {
		switch string(name) {
		case "kind":
			b.Kind = BlockKind(s.text())
		case "window":
			b.Window = s.text()
		case "model":
			b.Model = s.text()
		case "until":
			b.Until = s.time()
		case "learnedAt":
			b.LearnedAt = s.time()
		case "reason":
			b.Reason = s.text()
		default:
			s.fail()
		}
	})
	return b
}

func (s *scan) session() session {
	var one session
	s.object(func(name []byte) {
		switch string(name) {
		case "account":
			one.Account = s.text()
		case "home":
			one.Home = s.text()
		case "usedAt":
			one.UsedAt = s.time()
		case "dropped":
			one.Dropped = s.texts()
		default:
			s.fail()
		}
	})
	return one
}

func (s *scan) turn() turn {
	var t turn
	s.object(func(name []byte) {
		switch string(name) {
		case "account":
			t.Account = s.text()
		case "at":
			t.At = s.time()
		default:
			s.fail()
		}
	})
	return t
}
