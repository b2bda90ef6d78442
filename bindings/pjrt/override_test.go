//go:build cgo && (linux || darwin)

package pjrt

import (
	"reflect"
	"testing"

	"github.com/gomlx/gopjrt/pjrt"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
)

// The binding has the message that override reaches into.
func TestOverride(t *testing.T) {
	c := &pjrt.CompileConfig{}
	field := reflect.ValueOf(c).Elem().FieldByName("options")
	require.True(t, field.IsValid())
	message := reflect.New(field.Type().Elem())
	reflect.NewAt(field.Type(), field.Addr().UnsafePointer()).Elem().Set(message)
	override(c, "xla_cpu_use_xnnpack", false)
	text, err := prototext.Marshal(message.Interface().(proto.Message))
	require.NoError(t, err)
	require.Regexp(t, `env_option_overrides:\s*{key:"xla_cpu_use_xnnpack"\s*value:{bool_field:false}}`, string(text))
}
