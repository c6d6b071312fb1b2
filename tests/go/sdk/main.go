// Calls every method of Cloudflare's Go SDK that certgate has a route for, and prints a line for
// each: "ok", or the error. The tests also compile this file with version 6 of the SDK.
//
// It imports the packages of the services instead of the SDK's main package, which takes minutes
// to compile. Only that one has the function F, so fill sets the fields of parameters.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"sync"

	"github.com/cloudflare/cloudflare-go/v7/accounts"
	"github.com/cloudflare/cloudflare-go/v7/certificate_authorities"
	"github.com/cloudflare/cloudflare-go/v7/client_certificates"
	"github.com/cloudflare/cloudflare-go/v7/memberships"
	"github.com/cloudflare/cloudflare-go/v7/mtls_certificates"
	"github.com/cloudflare/cloudflare-go/v7/option"
	"github.com/cloudflare/cloudflare-go/v7/user"
	"github.com/cloudflare/cloudflare-go/v7/zones"
)

// The number of certificates that are revoked while pages are read.
const certificates = 60

var ctx = context.Background()

type fields map[string]any

// Returns parameters with these fields, like cloudflare.F(value) for each of them.
func fill[P any](values fields) P {
	var params P
	for name, value := range values {
		field := reflect.ValueOf(&params).Elem().FieldByName(name)
		if field.Type() == reflect.TypeOf(value) || field.Kind() == reflect.Interface {
			// The parameters have the object itself.
			field.Set(reflect.ValueOf(value))
			continue
		}
		target := field.FieldByName("Value")
		target.Set(reflect.ValueOf(value).Convert(target.Type()))
		field.FieldByName("Present").SetBool(true)
	}
	return params
}

// Prints the result of a call, and returns its value.
func call[T any](name string, value T, err error) T {
	if err != nil {
		fmt.Printf("%s: %s\n", name, strings.ReplaceAll(err.Error(), "\n", " "))
	} else {
		fmt.Printf("%s: ok\n", name)
	}
	return value
}

func expect(name string, holds bool, found any) {
	var err error
	if !holds {
		err = fmt.Errorf("unexpected: %v", found)
	}
	call(name, found, err)
}

type pager[T any] interface {
	Next() bool
	Current() T
	Err() error
}

func every[T any](name string, pages pager[T]) []T {
	var all []T
	for pages.Next() {
		all = append(all, pages.Current())
	}
	return call(name, all, pages.Err())
}

func clientCertificates(opts []option.RequestOption, zone, csr string) {
	service := client_certificates.NewClientCertificateService(opts...)
	zoneID := fields{"ZoneID": zone}
	var ids []string
	for range certificates {
		made, err := service.New(ctx, fill[client_certificates.ClientCertificateNewParams](
			fields{"ZoneID": zone, "Csr": csr, "ValidityDays": int64(30)}))
		if err != nil {
			call("ClientCertificates.New", made, err)
			return
		}
		ids = append(ids, made.ID)
	}
	got, err := service.Get(ctx, ids[0], fill[client_certificates.ClientCertificateGetParams](zoneID))
	call("ClientCertificates.Get", got, err)
	expect("ClientCertificates.Get: validity", got.ValidityDays == 30, got)
	list := fields{"ZoneID": zone, "PerPage": 5.0}
	page, err := service.List(ctx, fill[client_certificates.ClientCertificateListParams](list))
	call("ClientCertificates.List", page, err)
	expect("ClientCertificates.List: page", len(page.Result) == 5, page)
	// The default is the active certificates, newest first. What is revoked meanwhile moves later
	// ones forward: the pager may miss those, and shows none twice. With all of them it misses none.
	params := fill[client_certificates.ClientCertificateListParams](list)
	everything := append([]option.RequestOption{option.WithQuery("status", "all")}, opts...)
	pages := client_certificates.NewClientCertificateService(everything...).ListAutoPaging(ctx, params)
	var revoking sync.WaitGroup
	revoking.Add(1)
	go func() {
		defer revoking.Done()
		for _, id := range ids[:certificates/2] {
			deleted, err := service.Delete(ctx, id,
				fill[client_certificates.ClientCertificateDeleteParams](zoneID))
			if err != nil {
				call("ClientCertificates.Delete", deleted, err)
			}
		}
	}()
	seen := map[string]int{}
	for _, one := range every("ClientCertificates.ListAutoPaging", pages) {
		seen[one.ID]++
	}
	revoking.Wait()
	for _, id := range ids {
		if seen[id] != 1 {
			expect("ClientCertificates.ListAutoPaging: "+id, false, seen[id])
		}
	}
	deleted, err := service.Delete(ctx, ids[0],
		fill[client_certificates.ClientCertificateDeleteParams](zoneID))
	call("ClientCertificates.Delete, again", deleted, err)
	edited, err := service.Edit(ctx, ids[0], fill[client_certificates.ClientCertificateEditParams](
		fields{"ZoneID": zone, "Reactivate": true}))
	call("ClientCertificates.Edit", edited, err)
	_, err = service.Get(ctx, "00000000-0000-0000-0000-000000000000",
		fill[client_certificates.ClientCertificateGetParams](zoneID))
	var failure *client_certificates.Error
	expect("ClientCertificates.Get: error", errors.As(err, &failure) && failure.StatusCode == 404 &&
		len(failure.Errors) == 1 && failure.Errors[0].Code != 0, err)
	_, err = service.New(ctx, fill[client_certificates.ClientCertificateNewParams](
		fields{"ZoneID": zone, "Csr": "nonsense", "ValidityDays": int64(30)}))
	expect("ClientCertificates.New: error", errors.As(err, &failure) && failure.StatusCode == 400 &&
		len(failure.Errors) == 1 && failure.Errors[0].Code != 0, err)
}

func hostnames(opts []option.RequestOption, zone string) {
	service := certificate_authorities.NewHostnameAssociationService(opts...)
	association := fill[certificate_authorities.TLSHostnameAssociationParam](
		fields{"Hostnames": []string{"api.example.com"}})
	params := fields{"ZoneID": zone, "TLSHostnameAssociation": association}
	updated, err := service.Update(ctx,
		fill[certificate_authorities.HostnameAssociationUpdateParams](params))
	call("HostnameAssociations.Update", updated, err)
	got, err := service.Get(ctx, fill[certificate_authorities.HostnameAssociationGetParams](
		fields{"ZoneID": zone}))
	call("HostnameAssociations.Get", got, err)
	expect("HostnameAssociations.Get: names", len(got.Hostnames) == 1, got)
}

func mtlsCertificates(opts []option.RequestOption, account, ca string) {
	service := mtls_certificates.NewMTLSCertificateService(opts...)
	params := fields{"AccountID": account, "CA": true, "Certificates": ca, "Name": "go"}
	made, err := service.New(ctx, fill[mtls_certificates.MTLSCertificateNewParams](params))
	call("MTLSCertificates.New", made, err)
	accountID := fields{"AccountID": account}
	page, err := service.List(ctx, fill[mtls_certificates.MTLSCertificateListParams](accountID))
	call("MTLSCertificates.List", page, err)
	all := every("MTLSCertificates.ListAutoPaging", service.ListAutoPaging(ctx,
		fill[mtls_certificates.MTLSCertificateListParams](accountID)))
	expect("MTLSCertificates.ListAutoPaging: one", len(all) == 1 && all[0].ID == made.ID, all)
	got, err := service.Get(ctx, made.ID, fill[mtls_certificates.MTLSCertificateGetParams](accountID))
	call("MTLSCertificates.Get", got, err)
	associations, err := service.Associations.Get(ctx, made.ID,
		fill[mtls_certificates.AssociationGetParams](accountID))
	call("MTLSCertificates.Associations.Get", associations, err)
	every("MTLSCertificates.Associations.GetAutoPaging", service.Associations.GetAutoPaging(ctx,
		made.ID, fill[mtls_certificates.AssociationGetParams](accountID)))
	_, err = service.New(ctx, fill[mtls_certificates.MTLSCertificateNewParams](params))
	var failure *mtls_certificates.Error
	expect("MTLSCertificates.New: error", errors.As(err, &failure) &&
		failure.Errors[0].Code == 1471 && strings.Contains(err.Error(), "already exists"), err)
	deleted, err := service.Delete(ctx, made.ID,
		fill[mtls_certificates.MTLSCertificateDeleteParams](accountID))
	call("MTLSCertificates.Delete", deleted, err)
}

func accountsAndZones(opts []option.RequestOption) {
	service := accounts.NewAccountService(opts...)
	made, err := service.New(ctx, fill[accounts.AccountNewParams](fields{"Name": "Go"}))
	call("Accounts.New", made, err)
	got, err := service.Get(ctx, fill[accounts.AccountGetParams](fields{"AccountID": made.ID}))
	call("Accounts.Get", got, err)
	page, err := service.List(ctx, fill[accounts.AccountListParams](fields{"PerPage": 1.0}))
	call("Accounts.List", page, err)
	all := every("Accounts.ListAutoPaging", service.ListAutoPaging(ctx,
		fill[accounts.AccountListParams](fields{"PerPage": 1.0})))
	expect("Accounts.ListAutoPaging: two", len(all) == 2, all)
	updated, err := service.Update(ctx, fill[accounts.AccountUpdateParams](
		fields{"AccountID": made.ID}), option.WithJSONSet("name", "Go 2"),
		option.WithJSONSet("id", made.ID))
	call("Accounts.Update", updated, err)
	expect("Accounts.Update: name", updated.Name == "Go 2", updated)

	zoneService := zones.NewZoneService(opts...)
	account := fill[zones.ZoneNewParamsAccount](fields{"ID": made.ID})
	zone, err := zoneService.New(ctx, fill[zones.ZoneNewParams](
		fields{"Account": account, "Name": "go.example"}))
	call("Zones.New", zone, err)
	one, err := zoneService.Get(ctx, fill[zones.ZoneGetParams](fields{"ZoneID": zone.ID}))
	call("Zones.Get", one, err)
	zonePage, err := zoneService.List(ctx, fill[zones.ZoneListParams](fields{"PerPage": 5.0}))
	call("Zones.List", zonePage, err)
	every("Zones.ListAutoPaging", zoneService.ListAutoPaging(ctx,
		fill[zones.ZoneListParams](fields{"PerPage": 5.0})))
	edited, err := zoneService.Edit(ctx, fill[zones.ZoneEditParams](
		fields{"ZoneID": zone.ID, "Paused": false}))
	call("Zones.Edit", edited, err)
	removed, err := zoneService.Delete(ctx, fill[zones.ZoneDeleteParams](fields{"ZoneID": zone.ID}))
	call("Zones.Delete", removed, err)
	gone, err := service.Delete(ctx, fill[accounts.AccountDeleteParams](
		fields{"AccountID": made.ID}))
	call("Accounts.Delete", gone, err)
}

// A policy that allows a group of permissions on a resource.
func policy(group, resource string) option.RequestOption {
	return option.WithJSONSet("policies", []any{map[string]any{
		"effect":            "allow",
		"permission_groups": []any{map[string]any{"id": group}},
		"resources":         map[string]any{resource: "*"},
	}})
}

func userTokens(opts []option.RequestOption) {
	users := user.NewUserService(opts...)
	me, err := users.Get(ctx)
	call("User.Get", me, err)
	edited, err := users.Edit(ctx, fill[user.UserEditParams](fields{"FirstName": "Ada"}))
	call("User.Edit", edited, err)
	service := users.Tokens
	groups, err := service.PermissionGroups.List(ctx, user.TokenPermissionGroupListParams{})
	call("User.Tokens.PermissionGroups.List", groups, err)
	every("User.Tokens.PermissionGroups.ListAutoPaging",
		service.PermissionGroups.ListAutoPaging(ctx, user.TokenPermissionGroupListParams{}))
	group := ""
	for _, one := range groups.Result {
		if one.Name == "Zone Read" {
			group = one.ID
		}
	}
	allowed := policy(group, "com.cloudflare.api.account.zone.*")
	made, err := service.New(ctx, fill[user.TokenNewParams](fields{"Name": "go"}), allowed)
	call("User.Tokens.New", made, err)
	got, err := service.Get(ctx, made.ID)
	call("User.Tokens.Get", got, err)
	list, err := service.List(ctx, user.TokenListParams{})
	call("User.Tokens.List", list, err)
	every("User.Tokens.ListAutoPaging", service.ListAutoPaging(ctx, user.TokenListParams{}))
	updated, err := service.Update(ctx, made.ID, user.TokenUpdateParams{},
		option.WithJSONSet("name", "go 2"), allowed)
	call("User.Tokens.Update", updated, err)
	verified, err := service.Verify(ctx)
	call("User.Tokens.Verify", verified, err)
	rolled, err := service.Value.Update(ctx, made.ID, fill[user.TokenValueUpdateParams](
		fields{"Body": struct{}{}}))
	call("User.Tokens.Value.Update", rolled, err)
	deleted, err := service.Delete(ctx, made.ID)
	call("User.Tokens.Delete", deleted, err)
	service2 := memberships.NewMembershipService(opts...)
	members := every("Memberships.ListAutoPaging",
		service2.ListAutoPaging(ctx, memberships.MembershipListParams{}))
	if len(members) > 0 {
		member, err := service2.Get(ctx, members[0].ID)
		call("Memberships.Get", member, err)
	}
}

func accountTokens(opts []option.RequestOption, account string) {
	service := accounts.NewTokenService(opts...)
	id := fields{"AccountID": account}
	groups, err := service.PermissionGroups.List(ctx,
		fill[accounts.TokenPermissionGroupListParams](id))
	call("Accounts.Tokens.PermissionGroups.List", groups, err)
	every("Accounts.Tokens.PermissionGroups.ListAutoPaging", service.PermissionGroups.ListAutoPaging(
		ctx, fill[accounts.TokenPermissionGroupListParams](id)))
	found, err := service.PermissionGroups.Get(ctx, fill[accounts.TokenPermissionGroupGetParams](id))
	call("Accounts.Tokens.PermissionGroups.Get", found, err)
	group := ""
	if groups != nil {
		for _, one := range groups.Result {
			if one.Name == "Account Settings Read" {
				group = one.ID
			}
		}
	}
	named := fields{"AccountID": account, "Name": "go"}
	allowed := policy(group, "com.cloudflare.api.account."+account)
	made, err := service.New(ctx, fill[accounts.TokenNewParams](named), allowed)
	call("Accounts.Tokens.New", made, err)
	if err != nil {
		return
	}
	got, err := service.Get(ctx, made.ID, fill[accounts.TokenGetParams](id))
	call("Accounts.Tokens.Get", got, err)
	list, err := service.List(ctx, fill[accounts.TokenListParams](id))
	call("Accounts.Tokens.List", list, err)
	every("Accounts.Tokens.ListAutoPaging",
		service.ListAutoPaging(ctx, fill[accounts.TokenListParams](id)))
	updated, err := service.Update(ctx, made.ID, fill[accounts.TokenUpdateParams](id),
		option.WithJSONSet("name", "go 2"), allowed)
	call("Accounts.Tokens.Update", updated, err)
	own := append(append([]option.RequestOption{}, opts...), option.WithAPIToken(string(made.Value)))
	verified, err := accounts.NewTokenService(own...).Verify(ctx,
		fill[accounts.TokenVerifyParams](id))
	call("Accounts.Tokens.Verify", verified, err)
	rolled, err := service.Value.Update(ctx, made.ID, fill[accounts.TokenValueUpdateParams](
		fields{"AccountID": account, "Body": struct{}{}}))
	call("Accounts.Tokens.Value.Update", rolled, err)
	deleted, err := service.Delete(ctx, made.ID, fill[accounts.TokenDeleteParams](id))
	call("Accounts.Tokens.Delete", deleted, err)
}

func main() {
	opts := []option.RequestOption{
		option.WithBaseURL(os.Getenv("API")),
		option.WithAPIToken(os.Getenv("TOKEN")),
		option.WithMaxRetries(0),
	}
	zone, account := os.Getenv("ZONE"), os.Getenv("ACCOUNT")
	clientCertificates(opts, zone, os.Getenv("CSR"))
	hostnames(opts, zone)
	mtlsCertificates(opts, account, os.Getenv("CA"))
	accountsAndZones(opts)
	userTokens(opts)
	accountTokens(opts, account)
}
