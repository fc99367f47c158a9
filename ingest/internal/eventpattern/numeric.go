package eventpattern

import (
	"errors"
	"fmt"
	"strings"
)

const maxNumeric = 5e9 // the largest absolute value in a comparison

// operators compare a value of an event with a bound of a pattern.
var operators = map[string]func(value, bound float64) bool{
	"=":  func(v, b float64) bool { return v == b },
	"<":  func(v, b float64) bool { return v < b },
	"<=": func(v, b float64) bool { return v <= b },
	">":  func(v, b float64) bool { return v > b },
	">=": func(v, b float64) bool { return v >= b },
}

// numericBound is one half of a numeric comparison, such as > 0.
type numericBound struct {
	operator string
	bound    float64
}

// numeric compares with one bound, or with a lower and an upper one.
func numeric(argument any) (test, error) {
	limits, err := numericLimits(argument)
	if err != nil {
		return nil, err
	}
	return func(value any) bool {
		n, is := value.(numeral)
		if !is {
			return false
		}
		for _, l := range limits {
			if !operators[l.operator](n.float(), l.bound) {
				return false
			}
		}
		return true
	}, nil
}

func numericLimits(argument any) ([]numericBound, error) {
	list, _ := argument.([]any)
	if len(list) != 2 && len(list) != 4 {
		return nil, errors.New("must be a list of one or two operators, each with its number")
	}
	var limits []numericBound
	for ; len(list) > 0; list = list[2:] {
		operator, _ := list[0].(string)
		n, isNumber := list[1].(numeral)
		if operators[operator] == nil || !isNumber {
			return nil, fmt.Errorf("%v %v is not an operator and a number", list[0], list[1])
		}
		if f := n.float(); f < -maxNumeric || f > maxNumeric {
			return nil, fmt.Errorf("%s is not between %g and %g", n, -maxNumeric, maxNumeric)
		}
		limits = append(limits, numericBound{operator, n.float()})
	}
	if len(limits) == 2 && !isRange(limits[0], limits[1]) {
		return nil, errors.New("a range must go from a lower to a higher number: >, then <")
	}
	return limits, nil
}

func isRange(from, to numericBound) bool {
	return strings.HasPrefix(from.operator, ">") && strings.HasPrefix(to.operator, "<") && from.bound < to.bound
}
