//go:build cgo && (linux || darwin)

package pjrt

import (
	"reflect"

	"github.com/gomlx/gopjrt/pjrt"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// override sets an option of XLA for one compilation. The binding has no call
// for env_option_overrides of CompileOptionsProto, so its message is reached
// into; nothing happens where the binding no longer has it.
func override(c *pjrt.CompileConfig, option string, value bool) {
	field := reflect.ValueOf(c).Elem().FieldByName("options")
	if !field.IsValid() {
		return
	}
	message, ok := reflect.NewAt(field.Type(), field.Addr().UnsafePointer()).Elem().Interface().(proto.Message)
	if !ok {
		return
	}
	options := message.ProtoReflect()
	overrides := options.Descriptor().Fields().ByName("env_option_overrides")
	if overrides == nil {
		return
	}
	all := options.Mutable(overrides).Map()
	one := all.NewValue()
	one.Message().Set(one.Message().Descriptor().Fields().ByName("bool_field"), protoreflect.ValueOfBool(value))
	all.Set(protoreflect.ValueOfString(option).MapKey(), one)
}
