package main

import (
	"context"
	"fmt"
	"log"
	"os"

	"statuscache/httpapi/client"
)

func main() {
	service, err := client.New(os.Getenv("STATUS_URL"), os.Getenv("STATUS_TOKEN"))
	if err != nil {
		log.Fatal(err)
	}
	for execution, err := range service.Watch(context.Background(), os.Getenv("ARN")) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(execution.Status)
	}
}
