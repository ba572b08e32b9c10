package pool

import (
	"encoding/json"
	"fmt"
)

// bookVersion is quota-cache.json's. The Node tools write a file of this name
// with version 1 and other content, hence 2. Fields that this version does not
// know are not kept: facts that must survive an older binary raise the version.
const bookVersion = 2

// bookFormat is quota-cache.json. It holds no tokens.
type bookFormat struct {
	Version  int                `json:"version"`
	Accounts map[string]Facts   `json:"accounts"`
	Sessions map[string]session `json:"sessions,omitempty"`
	Turn     turn               `json:"turn,omitzero"`
}

func decodeBook(data []byte) (bookFormat, error) {
	if file, ok := scanBook(data); ok {
		return file, nil
	}
	return decodeAnyBook(data)
}

// decodeAnyBook is decodeBook for what this program did not write, and for what is
// damaged.
func decodeAnyBook(data []byte) (bookFormat, error) {
	var head struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return bookFormat{}, err
	}
	if head.Version != bookVersion {
		return bookFormat{}, fmt.Errorf("it has version %d and this program reads version %d", head.Version, bookVersion)
	}
	var file bookFormat
	err := json.Unmarshal(data, &file)
	return file, err
}

func encodeBook(file bookFormat) ([]byte, error) {
	data, err := json.Marshal(file)
	return append(data, '\n'), err
}
