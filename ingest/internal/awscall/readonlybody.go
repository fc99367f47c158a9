package awscall

import (
	"context"
	"io"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// WithReadOnlyBody prevents the SDK from losing answers. The SDK closes the body of a
// request as soon as the answer begins, while net/http may still be sending it. If the
// body also implements io.WriterTo, the last read of net/http, which would return
// nothing, then fails, and net/http closes the connection in the middle of the answer. A
// batch of messages that is lost this way stays hidden for half a minute. With a body
// that only implements io.Reader, the last read succeeds. (aws/aws-sdk-go-v2 issues 1825
// and 2737)
func WithReadOnlyBody(c aws.Config) aws.Config {
	c = c.Copy()
	c.APIOptions = append(slices.Clone(c.APIOptions), func(stack *middleware.Stack) error {
		return stack.Finalize.Add(middleware.FinalizeMiddlewareFunc("OnlyReadTheBody", onlyRead), middleware.After)
	})
	return c
}

func onlyRead(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
	if request, ok := in.Request.(*smithyhttp.Request); ok {
		if body, ok := request.GetStream().(io.ReadSeeker); ok {
			only, err := request.SetStream(struct{ io.ReadSeeker }{body})
			if err != nil {
				return middleware.FinalizeOutput{}, middleware.Metadata{}, err
			}
			in.Request = only
		}
	}
	return next.HandleFinalize(ctx, in)
}
