package worklist

import (
	_ "embed"

	"github.com/redis/go-redis/v9"

	"statuscache/cache"
	"statuscache/cache/internal/luascript"
)

var (
	//go:embed claim.lua
	claimSource string
	//go:embed postpone.lua
	postponeSource string
	//go:embed request.lua
	requestSource string
	//go:embed settle.lua
	settleSource string
	//go:embed budget.lua
	budgetSource string
	//go:embed beat.lua
	beatSource string
	//go:embed loss.lua
	lossSource string
	//go:embed lossend.lua
	lossEndSource string
)

// The first comment of each file describes its arguments and its answer.
var (
	claimScript    = redis.NewScript(claimSource)
	postponeScript = redis.NewScript(postponeSource)
	requestScript  = redis.NewScript(requestSource)
	settleScript   = luascript.New(cache.LuaConstants(), settleSource)
	budgetScript   = redis.NewScript(budgetSource)
	beatScript     = redis.NewScript(beatSource)
	lossScript     = redis.NewScript(lossSource)
	lossEndScript  = redis.NewScript(lossEndSource)
)
