package pool

import (
	"fmt"
	"io/fs"
	"unsafe"

	"golang.org/x/sys/windows"
)

const securityInfo = windows.OWNER_SECURITY_INFORMATION | windows.DACL_SECURITY_INFORMATION

// checkOwner accepts the user, and the administrators group, which owns what
// an elevated process of the user makes.
func checkOwner(path string, _ fs.FileInfo) error {
	sd, err := windows.GetNamedSecurityInfo(path, windows.SE_FILE_OBJECT, securityInfo)
	if err != nil {
		return &fs.PathError{Op: "read owner", Path: path, Err: err}
	}
	owner, _, err := sd.Owner()
	if err != nil {
		return &fs.PathError{Op: "read owner", Path: path, Err: err}
	}
	user, err := currentUser()
	if err != nil {
		return err
	}
	if !owner.Equals(user) && !owner.IsWellKnown(windows.WinBuiltinAdministratorsSid) {
		return &UnsafeError{path, "belongs to another user (" + owner.String() + ")", "takeown /f " + path}
	}
	return nil
}

func currentUser() (*windows.SID, error) {
	user, err := windows.GetCurrentProcessToken().GetTokenUser()
	if err != nil {
		return nil, fmt.Errorf("who runs this: %w", err)
	}
	return user.User.Sid, nil
}

// tighten gives the user alone access, by a protected ACL that what is made in
// a folder later inherits, and reports it.
func (c *checker) tighten(path string, info fs.FileInfo, _ fs.FileMode) error {
	user, err := currentUser()
	if err != nil {
		return err
	}
	inherit := ""
	if info.IsDir() {
		inherit = "OICI"
	}
	want, err := windows.SecurityDescriptorFromString(fmt.Sprintf("D:P(A;%s;FA;;;%s)", inherit, user))
	if err != nil {
		return &fs.PathError{Op: "make ACL", Path: path, Err: err}
	}
	have, err := windows.GetNamedSecurityInfo(path, windows.SE_FILE_OBJECT, windows.DACL_SECURITY_INFORMATION)
	if err != nil {
		return &fs.PathError{Op: "read ACL", Path: path, Err: err}
	}
	if onlyUser(have, user) {
		return nil
	}
	if c.look {
		c.isLoose("%s lets others in", path)
		return nil
	}
	dacl, _, err := want.DACL()
	if err != nil {
		return &fs.PathError{Op: "make ACL", Path: path, Err: err}
	}
	err = windows.SetNamedSecurityInfo(path, windows.SE_FILE_OBJECT,
		windows.DACL_SECURITY_INFORMATION|windows.PROTECTED_DACL_SECURITY_INFORMATION, nil, nil, dacl, nil)
	if err != nil {
		return &fs.PathError{Op: "set ACL", Path: path, Err: err}
	}
	c.mended("%s let others in; only you have access now", path)
	return nil
}

// onlyUser reports whether every entry of the ACL, inherited ones too, is the
// user's.
func onlyUser(sd *windows.SECURITY_DESCRIPTOR, user *windows.SID) bool {
	dacl, _, err := sd.DACL()
	if err != nil || dacl == nil || dacl.AceCount == 0 {
		return false
	}
	for i := range uint32(dacl.AceCount) {
		var ace *windows.ACCESS_ALLOWED_ACE
		if err := windows.GetAce(dacl, i, &ace); err != nil || ace.Header.AceType != windows.ACCESS_ALLOWED_ACE_TYPE {
			return false
		}
		// The SID begins in the entry's last word and goes on behind it.
		if !(*windows.SID)(unsafe.Pointer(&ace.SidStart)).Equals(user) {
			return false
		}
	}
	return true
}

// parent has nothing to check: on Windows the root's own ACL is protected, so
// rights on the folder above give none on the root's content.
func (c *checker) parent(string) error { return nil }
